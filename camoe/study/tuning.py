"""The same tuning for every variant: as many trials, in a space of the same two factors, by Optuna."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from zlib import crc32

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution
from optuna.trial import TrialState

from camoe.study.declared import Tuning
from camoe.study.trial import Factors, Result, StudyError

SPACE = ("rate", "regularisation")
# Validations of so many earlier trials have a median that the next one is held against.
EARLIER = 2


def tune(
    variants: Sequence[str],
    tuning: Tuning,
    run: Callable[[Mapping[str, tuple[Factors, dict[int, float]]]], Mapping[str, Result]],
) -> dict[str, Factors]:
    """Return the best factors of each of `variants`, those of the least score.

    `run` does a trial of every variant, with factors and the medians to be held against, and returns their results. It
    is asked the same again whenever a study goes on: the draws rest on the seed and the results alone.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    searches = {name: _search(name, tuning) for name in variants}
    space = {name: _logarithmic(*getattr(tuning, name)) for name in SPACE}
    results: dict[str, list[Result]] = {name: [] for name in variants}
    for _ in range(tuning.trials):
        asked = {name: search.ask(space) for name, search in searches.items()}
        wanted = {name: (Factors(**one.params), medians(results[name])) for name, one in asked.items()}
        for name, result in run(wanted).items():
            results[name].append(result)
            given_up = result.given_up or result.score is None
            state = TrialState.PRUNED if given_up else TrialState.COMPLETE
            searches[name].tell(asked[name], None if given_up else result.score, state)
    return {name: _best(found) for name, found in results.items()}


def medians(trials: Sequence[Result]) -> dict[int, float]:
    """Return by step the median score of the validations of `trials`, where `EARLIER` of them came so far."""
    by_step: dict[int, list[float]] = {}
    for trial in trials:
        for step, score in trial.checks:
            by_step.setdefault(step, []).append(score)
    return {step: statistics.median(scores) for step, scores in sorted(by_step.items()) if len(scores) >= EARLIER}


def _logarithmic(low: float, high: float) -> BaseDistribution:
    return FloatDistribution(low, high, log=True)


def _search(variant: str, tuning: Tuning) -> optuna.Study:
    sampler = optuna.samplers.TPESampler(seed=crc32(f"{tuning.seed} {variant}".encode()), n_startup_trials=4)
    made = optuna.create_study(sampler=sampler)
    made.enqueue_trial(dict.fromkeys(SPACE, 1.0))
    return made


def _best(results: Sequence[Result]) -> Factors:
    scored = [(result.score, place) for place, result in enumerate(results) if result.score is not None]
    if not scored:
        raise StudyError(
            "no trial of the tuning has a score: the days it is judged on have one label only in each slot"
        )
    return results[min(scored)[1]].factors
