"""Calibrated on the validation days, judged on the test days: metrics by slot and modality, differences in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, logit

from bench.ranking.rows import Floats, Ints, Rows
from camoe.config.pipeline import Config
from camoe.metrics.calibration import calibration_noise_floor, expected_calibration_error
from camoe.metrics.histogram import P_MAX, P_MIN, Histogram
from camoe.metrics.intervals import Estimate, bucket_weights, estimates, interval
from camoe.metrics.measures import measures
from camoe.metrics.platt import fit_platt, keep_if_better
from camoe.metrics.state import State

# The metrics that are compared in pairs.
COMPARED = {name: measure for name, measure in measures(1).items() if name in ("auc_pr", "ne", "roc_auc")}


@dataclass(frozen=True)
class Answer:
    """A system's predictions for the validation and the test rows, and its head for each slot id."""

    validation: Floats
    test: Floats
    head: Ints


def calibrated(config: Config, answer: Answer, validation: Rows, test: Rows) -> Floats:
    """Return `[N]`: the test rows' probabilities, each head calibrated on the validation rows as training does it."""
    p, users = answer.test.copy(), config.evaluation.user_buckets
    for head in np.unique(answer.head):
        own, there = answer.head[validation.slot] == head, answer.head[test.slot] == head
        state = Histogram.from_rows(answer.validation[own], validation.label[own], validation.bucket[own], users)
        fitted = keep_if_better(fit_platt(state, config.calibration.min_per_class), state, users)
        p[there] = fitted.calibrated(p[there])
    return p


def mean_of(answers: Sequence[Answer]) -> Answer:
    """Return the answers' mean by log-odds, calibrated by the heads of the first."""

    def mean(of: Sequence[Floats]) -> Floats:
        found: Floats = expit(np.mean([logit(np.clip(p, P_MIN, P_MAX)) for p in of], axis=0))
        return found

    return Answer(mean([one.validation for one in answers]), mean([one.test for one in answers]), answers[0].head)


def groups(config: Config, test: Rows) -> dict[str, Any]:
    """Group names to the rows `[N]` that belong to them: all, each modality, each slot; those with a click only."""
    slots = config.slots.slots
    modality = np.array([slot.modality for slot in slots])[test.slot]
    found = {"all": np.ones(len(test.slot), bool)}
    found |= {name: modality == name for name in config.slots.modalities}
    found |= {slot.id: test.slot == number for number, slot in enumerate(slots)}
    return {name: own for name, own in found.items() if np.nansum(test.label[own]) > 0}


def judge(config: Config, test: Rows, by_system: Mapping[str, Sequence[Floats]]) -> list[dict[str, Any]]:
    """Return a row a group and system: means over the seeds, and against the first system a verdict for each metric.

    Users are resampled, the same for all; a seed's spread is in `sd_ne`.
    """
    settings = config.evaluation
    weights = bucket_weights(settings.user_buckets, settings.bootstrap, settings.seed)
    first = next(iter(by_system))
    rows = []
    for name, own in groups(config, test).items():
        states = {system: [_state(config, test, own, p) for p in seeds] for system, seeds in by_system.items()}
        found = {system: [estimates(State.of(one), COMPARED, weights) for one in own] for system, own in states.items()}
        mean = {system: _mean(seeds) for system, seeds in found.items()}
        for system, seeds in states.items():
            bins = [one.bins() for one in seeds]
            ece = [expected_calibration_error(one, settings.ece_bins) for one in bins]
            floor = calibration_noise_floor(bins[0], settings.ece_bins, settings.bootstrap, settings.seed)
            row = {
                "group": name,
                "system": system,
                "impressions": seeds[0].rows,
                "clicks": seeds[0].clicks,
                **{metric: round(value.value, 5) for metric, value in mean[system].items()},
                "ece": round(float(np.mean(ece)), 5),
                "ece_floor": None if floor is None else round(floor, 5),
                "sd_ne": _spread([one["ne"].value for one in found[system]]),
            }
            for metric in COMPARED:
                row |= _verdict(metric, mean[first][metric], mean[system][metric])
            rows.append(row)
    return rows


def _spread(values: Sequence[float]) -> float | None:
    return None if len(values) == 1 else round(float(np.std(values, ddof=1)), 5)


def _state(config: Config, test: Rows, own: Any, p: Floats) -> Histogram:
    return Histogram.from_rows(p[own], test.label[own], test.bucket[own], config.evaluation.user_buckets)


def _mean(seeds: Sequence[Mapping[str, Estimate]]) -> dict[str, Estimate]:
    found = {}
    for metric in COMPARED:
        values, samples = [one[metric].value for one in seeds], [one[metric].samples for one in seeds]
        found[metric] = Estimate(float(np.mean(values)), np.mean(samples, axis=0))
    return found


def _verdict(metric: str, first: Estimate, other: Estimate) -> dict[str, Any]:
    """Tell how the first system does against another: better, worse, or cannot tell where the interval holds zero."""
    between = interval(first.samples - other.samples)
    told = "cannot tell"
    if between is not None and (between.low > 0 or between.high < 0):
        told = "better" if (between.low > 0) == (COMPARED[metric].best == "highest") else "worse"
    bounds = None if between is None else [round(between.low, 5), round(between.high, 5)]
    return {f"{metric}_first_less_this": bounds, f"{metric}_first_is": told}
