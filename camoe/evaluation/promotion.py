"""An evaluation's verdicts on a model against the champion, and whether a declared rule takes it as the next one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path

from camoe.evaluation.kept import read_states
from camoe.metrics.comparison import compare_states
from camoe.metrics.config import EvaluationConfig, PromotionConfig
from camoe.metrics.state import State
from camoe.metrics.table import ALL, MODEL, StateKey
from camoe.registry.record import Judgement, RegistryError, Told

# What a message names of what breaks the rule.
SHOWN = 5


def judge(
    states: Path,
    model: str,
    champion: str,
    days: Sequence[date],
    *,
    rule: PromotionConfig,
    settings: EvaluationConfig,
) -> Judgement:
    """Hold what `states` keeps of `model` on `days` against what it keeps of the `champion`.

    Raises:
        InputError: the states of one of them are not kept for all days.
        MetricError: they are of other rows.
    """
    kinds = {ALL, *rule.groups}
    ours, theirs = (_of_model(read_states(states, version, days, kinds)) for version in (model, champion))
    told = tuple(
        Told(
            objective=item.objective,
            group_kind=item.group_kind,
            group=item.group,
            metric=item.metric,
            value=item.value,
            p_holm=item.p_holm,
            verdict=item.verdict,
        )
        for item in compare_states(ours, theirs, champion, settings)
        if item.metric in rule.metrics
    )
    return Judgement(against=champion, days=tuple(sorted(days)), rule=rule, verdicts=told)


def require_met(judgement: Judgement, model: str) -> None:
    """Raise `RegistryError` unless the rule takes `model` in place of the champion."""
    why = list(broken(judgement))
    if why:
        shown = "; ".join(why[:SHOWN]) + (f"; and {len(why) - SHOWN} more" if len(why) > SHOWN else "")
        raise RegistryError(
            f"the rule (promotion) does not take model {model} in place of {judgement.against}: {shown}; --reason TEXT "
            "makes it the champion all the same; nothing was changed"
        )


def broken(judgement: Judgement) -> Iterator[str]:
    """Yield what the rule is broken by; nothing where it is met."""
    rule, told = judgement.rule, judgement.verdicts
    for item in told:
        if item.verdict == "worse":
            where = "all rows" if item.group_kind == ALL else f"{item.group_kind} {item.group}"
            yield f"{item.metric} of {item.objective} is worse for {where} by {_number(item.value)}"
    first = [item.verdict for item in told if (item.group_kind, item.metric) == (ALL, rule.metrics[0])]
    if not first or (rule.wanted == "better" and "better" not in first):
        yield f"{rule.metrics[0]} over all rows is not better for any objective"


def _number(value: float | None) -> str:
    return "an unknown difference" if value is None else f"{abs(value):.4f}"


def _of_model(states: Mapping[StateKey, State]) -> dict[StateKey, State]:
    return {key: state for key, state in states.items() if key.predictor == MODEL}
