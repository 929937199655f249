"""The results of a study for people, as Markdown, and for programs, as JSON."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from camoe.metrics.intervals import optional
from camoe.report.text import span
from camoe.study.compare import Compared, Judged, Line
from camoe.study.run import Done
from camoe.study.statistics import Change

NAMES = {"auc_pr": "AUC-PR", "ne": "NE", "ece": "ECE", "roc_auc": "ROC-AUC"}
ONE_SEED = "**One seed:** how much seeds differ is not known, so intervals are too narrow and words come too easily.\n"
# Those that the table of a group has.
SHOWN = ("auc_pr", "ece", "ne")


def markdown(done: Done, compared: Compared, names: Mapping[str, str], command: str, unfair: Sequence[str] = ()) -> str:
    """Return the page of a study: what was run, what is not fair in it, the claims, a table a group."""
    warned = [f"\n**Not fair:** {line}." for line in unfair]
    return "\n".join([*_head(done, command), *warned, *_claims(done, compared), *_groups(done, compared, names)]) + "\n"


def document(done: Done, compared: Compared) -> dict[str, Any]:
    """Return all results as JSON has them; None for figures that are not finite."""
    return {
        "study": done.study.model_dump(mode="json"),
        "factors": {name: one.model_dump() for name, one in done.factors.items()},
        "trials": [result.model_dump(mode="json") for result in done.results.values()],
        "rows": {group: {"impressions": rows, "clicks": clicks} for group, (rows, clicks) in compared.rows.items()},
        "lines": [
            {
                "variant": line.variant,
                "group": line.group,
                "metrics": {name: optional(value) for name, value in line.metrics.items()},
                "ece_floor": line.ece_floor,
                "changes": {name: _change(one) for name, one in line.changes.items()},
                "verdicts": dict(line.verdicts),
            }
            for line in compared.lines
        ],
        "claims": {name: _judged(one) for name, one in compared.claims.items()},
    }


def _head(done: Done, command: str) -> Iterator[str]:
    study, results = done.study, done.results.values()
    seconds = sum(result.seconds for result in results)
    yield f"`{command}`\n"
    yield (
        f"{len(study.variants)} variants, seeds {', '.join(map(str, study.seeds))}, folds {', '.join(study.folds)}: "
        f"{len(done.results)} trials in {span(seconds)} of process time"
        + (f", after {study.tuning.trials} trials of tuning for each variant" if study.tuning else "")
        + ".\n"
    )
    versions = sorted({result.code_version for result in results})
    if len(versions) > 1:
        yield f"The trials were done by several versions of the code: {', '.join(versions)}.\n"
    yield (
        f"Changes are relative, against {study.variants[study.baseline].title}, with 95 % intervals over users and "
        "seeds; a word stands where the change is told from none, adjusted for the number of variants (Holm).\n"
    )
    sizes = {result.variant: result.parameters for result in results}
    yield "| variant | | parameters beside the embeddings |" + (" rate, regularisation |" if done.factors else "")
    yield "| --- | --- | --- |" + (" --- |" if done.factors else "")
    for name, variant in study.variants.items():
        size, factors = sizes.get(name), done.factors.get(name)
        tuned = f" x {factors.rate:.2f}, x {factors.regularisation:.2f} |" if factors else ""
        yield f"| {name} | {variant.title} | {'' if size is None else f'{size:,}'} |{tuned}"


def _claims(done: Done, compared: Compared) -> Iterator[str]:
    if not compared.claims:
        return
    yield "\n## Claims\n"
    yield from _one_seed(done)
    yield (
        "A claim holds where every part of it does, and does not where one surely falls short; adjusted for the number "
        "of claims. The last column is the gain in every part with which it would hold four times in five.\n"
    )
    yield "| claim | | parts | would hold at |"
    yield "| --- | --- | --- | --- |"
    for judged in compared.claims.values():
        parts = _rivals(judged) if judged.claim.undominated else "; ".join(_parts(judged.parts))
        yield f"| {judged.claim.says} | **{judged.answer}** | {parts} | {_percent(judged.detectable)} |"


def _parts(parts: Mapping[str, Change]) -> list[str]:
    return [f"{_part(name)} {told(part)}" for name, part in parts.items()]


def _rivals(judged: Judged) -> str:
    """Write the changes to those variants that are ahead in every part as measured; results.json has all."""
    by_rival: dict[str, dict[str, Change]] = {}
    for name, part in judged.parts.items():
        by_rival.setdefault(name.partition(": ")[0], {})[name] = part
    ahead = [own for own in by_rival.values() if all(part.gain > 0 for part in own.values())]
    shown = "; ".join(text for own in ahead for text in _parts(own))
    return f"ahead in every part, as measured, are {len(ahead)} of {len(by_rival)} others" + (shown and f": {shown}")


def _one_seed(done: Done) -> Iterator[str]:
    if len(done.study.seeds) == 1:
        yield ONE_SEED


def _part(name: str) -> str:
    head, _, rest = name.rpartition(": ")
    metric, _, group = rest.partition(" ")
    return f"{head + ': ' if head else ''}{NAMES[metric]} {group}"


def _groups(done: Done, compared: Compared, names: Mapping[str, str]) -> Iterator[str]:
    yield "\n## By group"
    yield from (f"\n{line}" for line in _one_seed(done))
    for group, lines in groupby(compared.lines, key=lambda line: line.group):
        rows, clicks = compared.rows[group]
        yield f"\n### {names.get(group, group)}\n\n{rows:,} impressions, {clicks:,} clicks\n"
        heads = ("variant", *(f"{NAMES[name]} | change" for name in SHOWN))
        yield f"| {' | '.join(heads)} |"
        yield f"| {' | '.join(['---'] * (1 + 2 * len(SHOWN)))} |"
        for line in lines:
            yield f"| {line.variant} | {' | '.join(_cells(line, SHOWN))} |"


def _cells(line: Line, metrics: Sequence[str]) -> Iterator[str]:
    for name in metrics:
        value, floor = line.metrics[name], line.ece_floor
        yield _number(value) + (f" (by chance {_number(floor)})" if name == "ece" and floor is not None else "")
        own, word = line.changes.get(name), line.verdicts.get(name, "")
        yield "" if own is None else told(own) + ("" if word == "cannot tell" else f" **{word}**")


def told(change: Change) -> str:
    """Write a change with its interval."""
    if not change.defined:
        return "undefined"
    low, high = change.interval
    return f"{_percent(change.value)} [{_percent(low)}, {_percent(high)}]"


def _percent(value: float) -> str:
    return "undefined" if not math.isfinite(value) else f"{100 * value:+.1f} %"


def _number(value: float) -> str:
    return "undefined" if not math.isfinite(value) else f"{value:.4f}"


def _change(change: Change) -> dict[str, float | None]:
    low, high = change.interval if change.defined else (math.nan, math.nan)
    found = {"change": change.value, "low": low, "high": high, "error": change.error, "freedom": change.freedom}
    return {name: optional(value) for name, value in found.items()}


def _judged(judged: Judged) -> dict[str, Any]:
    return {
        "says": judged.claim.says,
        "answer": judged.answer,
        "parts": {name: _change(part) for name, part in judged.parts.items()},
        "p": judged.p,
        "p_not": judged.p_not,
        "detectable": optional(judged.detectable),
    }
