"""What the trials of a study say: each variant's metrics by group, its changes against the baseline, and the claims."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from camoe.config.pipeline import Config
from camoe.metrics.calibration import calibration_noise_floor
from camoe.metrics.comparison import Verdict, holm
from camoe.metrics.histogram import Histogram
from camoe.metrics.intervals import bucket_weights
from camoe.study.declared import Claim, Study
from camoe.study.run import Done
from camoe.study.states import TEST, Group, by_group, read_states
from camoe.study.statistics import Change, Measured, change, detectable, measure
from camoe.study.trial import STATES, StudyError, config_of

Answer = Literal["holds", "does not hold", "cannot be told"]
# A claim errs in one study of twenty at most, whichever of its claims and whichever way.
ERROR = 0.025


@dataclass(frozen=True)
class Line:
    """A variant on a group: metrics, and by metric its change against the baseline and what that is called."""

    variant: str
    group: str
    metrics: Mapping[str, float]
    ece_floor: float | None
    changes: Mapping[str, Change]
    verdicts: Mapping[str, Verdict]


@dataclass(frozen=True)
class Judged:
    """A claim and what can be said of it.

    `parts` are the changes it rests on, by metric and group; `p` and `p_not` the adjusted p-values of its holding and
    of its not holding; `detectable` is the gain in each part at which it would hold four times in five, were it the
    first of the claims by Holm.
    """

    claim: Claim
    answer: Answer
    parts: Mapping[str, Change]
    p: float
    p_not: float
    detectable: float


@dataclass(frozen=True)
class Compared:
    """All comparisons of a study: rows by group, `lines`, `claims` by name, and measures by variant, group, metric."""

    rows: Mapping[str, tuple[int, int]]
    lines: Sequence[Line]
    claims: Mapping[str, Judged]
    measured: Mapping[tuple[str, str], Mapping[str, Measured]]


def compare(done: Done) -> Compared:
    """Return what the finished trials of a study say.

    Raises:
        StudyError: trials were judged on other rows.
    """
    study = done.study
    config = config_of(next(iter(done.trials.values())).task)
    states = {key: _states(done, key, config) for key in done.trials}
    groups = list(dict.fromkeys(group for one in states.values() for group in one))
    settings = config.evaluation
    weights = bucket_weights(settings.user_buckets, settings.bootstrap, settings.seed)
    measured, rows, floors = {}, {}, {}
    for group in groups:
        counts = {(key[1], one[group].rows, one[group].clicks) for key, one in states.items()}
        if len(counts) > len(study.folds):
            raise StudyError(f"trials were judged on other rows of {group[1]}: {sorted(counts)}; remove the older ones")
        rows[group[1]] = sum(n for _, n, _ in counts), sum(n for _, _, n in counts)
        for variant in study.variants:
            own = [[states[variant, fold, seed][group] for fold in study.folds] for seed in study.seeds]
            measured[variant, group[1]] = measure(own, weights, settings.ece_bins)
            floors[variant, group[1]] = _floor(own[0], config)
    lines = [line for _, group in groups for line in _lines(study, group, measured, floors)]
    return Compared(rows, lines, judge(study, measured), measured)


def _states(done: Done, key: tuple[str, str, int], config: Config) -> dict[Group, Histogram]:
    states = read_states(done.trials[key].folder / STATES, TEST)
    return by_group(states, config.slots, config.heads.objectives[0], config.evaluation.user_buckets)


def _floor(states: Sequence[Histogram], config: Config) -> float | None:
    """Return the calibration error of a perfect model with the predictions of one seed, mean over folds."""
    settings = config.evaluation
    found = [
        calibration_noise_floor(one.bins(), settings.ece_bins, settings.bootstrap, settings.seed) for one in states
    ]
    known = [one for one in found if one is not None]
    return float(np.mean(known)) if known else None


def _lines(
    study: Study,
    group: str,
    measured: Mapping[tuple[str, str], Mapping[str, Measured]],
    floors: Mapping[tuple[str, str], float | None],
) -> list[Line]:
    base = measured[study.baseline, group]
    lines = []
    for variant in study.variants:
        own = measured[variant, group]
        means = {name: one.mean for name, one in own.items()}
        changes = {} if variant == study.baseline else {name: change(own[name], base[name], name) for name in own}
        lines.append(Line(variant, group, means, floors[variant, group], changes, {}))
    return _with_verdicts(lines)


def _with_verdicts(lines: Sequence[Line]) -> list[Line]:
    """Return the lines of one group with a word for each change: two-sided, adjusted for the number of variants."""
    words: list[dict[str, Verdict]] = [{} for _ in lines]
    places = [place for place, line in enumerate(lines) if line.changes]
    for metric in lines[places[0]].changes if places else ():
        found = [lines[place].changes[metric] for place in places]
        adjusted = _adjusted([min(1.0, 2 * min(one.p_above(), one.p_below())) for one in found])
        for place, one, p in zip(places, found, adjusted, strict=True):
            told: Verdict = "better" if one.gain > 0 else "worse"
            words[place][metric] = told if p < 2 * ERROR else "cannot tell"
    return [
        Line(line.variant, line.group, line.metrics, line.ece_floor, line.changes, own)
        for line, own in zip(lines, words, strict=True)
    ]


def _adjusted(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number after Holm; all of them are known."""
    return [1.0 if p is None else p for p in holm(p_values)]


def judge(study: Study, measured: Mapping[tuple[str, str], Mapping[str, Measured]]) -> dict[str, Judged]:
    """Return what can be said of each claim; p-values are adjusted for the number of claims."""
    asked = {name: _asked(study, claim, measured) for name, claim in study.claims.items()}
    holds = _adjusted([one.p for one in asked.values()])
    fails = _adjusted([one.p_not for one in asked.values()])
    found = {}
    for (name, one), p, p_not in zip(asked.items(), holds, fails, strict=True):
        answer: Answer = "holds" if p < ERROR else "cannot be told"
        if p_not < ERROR:
            answer = "does not hold"
        least = detectable(one.needed, ERROR / len(asked))
        found[name] = Judged(study.claims[name], answer, one.parts, p, p_not, least)
    return found


@dataclass(frozen=True)
class _Asked:
    """Changes that a claim rests on; those of each set of which one has to be told; p-values of holding, of not."""

    parts: Mapping[str, Change]
    needed: Sequence[Sequence[Change]]
    p: float
    p_not: float


def _asked(study: Study, claim: Claim, measured: Mapping[tuple[str, str], Mapping[str, Measured]]) -> _Asked:
    """Return what decides on a claim.

    A claim of several parts holds where each part does, so its p-value is the greatest of theirs; that it does not hold
    is told by any of them, so that p-value is the least, times their number.
    """

    def changes(first: str, second: str) -> dict[str, Change]:
        return {
            f"{metric} {group}": change(measured[first, group][metric], measured[second, group][metric], metric)
            for metric in claim.metrics
            for group in claim.groups
        }

    if claim.undominated is None:
        assert claim.better is not None and claim.than is not None
        parts = changes(claim.better, claim.than)
        p = max(part.p_above() for part in parts.values())
        p_not = min(1.0, len(parts) * min(part.p_below(claim.least) for part in parts.values()))
        return _Asked(parts, [[part] for part in parts.values()], p, p_not)
    parts, needed, behind, ahead = {}, list[Sequence[Change]](), list[float](), list[float]()
    for other in (name for name in study.variants if name != claim.undominated):
        own = changes(other, claim.undominated)
        parts |= {f"{other}: {name}": part for name, part in own.items()}
        needed.append(list(own.values()))
        # Another variant does not dominate where it is worse in one thing, and does where it is better in all.
        behind.append(min(1.0, len(own) * min(part.p_below() for part in own.values())))
        ahead.append(max(part.p_above() for part in own.values()))
    return _Asked(parts, needed, max(behind), min(1.0, len(ahead) * min(ahead)))
