"""The process of one trial: `python -m camoe.study.process FOLDER`. It trains, scores, and writes what it came to."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date

import pandas as pd

from camoe.bundle.code_version import code_version
from camoe.bundle.manifest import read_manifest
from camoe.bundle.versions import current, named_by
from camoe.config.ending import exit_with
from camoe.config.pipeline import Config
from camoe.contracts.errors import ConfigError
from camoe.contracts.places.objects import path_at
from camoe.study.states import CHOOSE, TEST, VALIDATION, entropy_over_slots, read_states, states_of, write_states
from camoe.study.trial import STATES, Result, Trial, config_of, read_task


def work(trial: Trial) -> None:
    """Do a trial: go on where an earlier process of it was killed, and write its states and its result."""
    started, task = time.monotonic(), trial.task
    config = config_of(task)
    found = _network(trial, config) if task.system == "network" else _trees(trial, config)
    if task.choose and not found.given_up:
        found = found.model_copy(update={"score": entropy_over_slots(read_states(trial.folder / STATES, CHOOSE))})
    trial.finish(found.model_copy(update={"seconds": round(time.monotonic() - started, 1)}))


def _network(trial: Trial, config: Config) -> Result:
    from camoe.study import network  # noqa: PLC0415 - it loads PyTorch and Horovod, which trees do not need

    task, config = trial.task, network.matched(trial.task, config)
    # A process that was killed after training has left its bundle, and no checkpoints.
    if current(config.layout.bundle) is None:
        try:
            network.train(task, config)
        except network.GivenUpError as error:
            print(f"trial: given up {error}", flush=True)
            return _result(trial).model_copy(update={"given_up": True, "checks": tuple(error.scores.items())})
    rows = _write(trial, config, lambda days: network.score(config, task.table_version, days))
    score, checks = network.validations(config)
    found = {
        "score": score,
        "checks": tuple(checks.items()),
        "parameters": network.parameters(config, task.table_version),
        "model_version": read_manifest(named_by(config.layout.bundle)).model_version,
    }
    return _result(trial).model_copy(update=found | rows)


def _trees(trial: Trial, config: Config) -> Result:
    try:
        from camoe.study import trees  # noqa: PLC0415 - it needs a library of the extra `study`
    except ModuleNotFoundError as error:
        raise ConfigError(f"system {trial.task.system} needs {error.name}: pip install 'camoe[study]'") from None
    grown = trees.train(config, trial.task.table_version, trial.task.factors)
    rows = _write(trial, config, lambda days: trees.score(config, trial.task.table_version, days, grown))
    validation = states_of(grown.validation.assign(part=VALIDATION, date=""), config.evaluation.user_buckets)
    score = entropy_over_slots(validation[validation["predictor"] == "model_raw"])
    return _result(trial).model_copy(update={"score": score, **rows})


def _write(trial: Trial, config: Config, scored: Callable[[Sequence[date]], Iterable[pd.DataFrame]]) -> dict[str, int]:
    """Write the states of the days that the trial scores; return how many impressions of the test days that were."""
    states, rows = list[pd.DataFrame](), list[pd.DataFrame]()
    for part, days in ((TEST, config.days.test.days()), (CHOOSE, trial.task.choose)):
        for scored_day in scored(days) if days else ():
            states.append(states_of(scored_day.assign(part=part), config.evaluation.user_buckets))
            rows += [scored_day] if part == TEST else []
    write_states(trial.folder / STATES, pd.concat(states, ignore_index=True))
    return {"rows": sum(map(len, rows)), "unlabelled": sum(int(one["label"].isna().sum()) for one in rows)}


def _result(trial: Trial) -> Result:
    task = trial.task
    return Result(
        variant=task.variant, fold=task.fold, seed=task.seed, factors=task.factors, given_up=False, score=None,
        table_version=task.table_version, code_version=code_version(), seconds=0.0,
    )  # fmt: skip


def main(argv: list[str]) -> None:
    """Do the trial of the folder that the command line names."""
    work(read_task(path_at(argv[0])))


if __name__ == "__main__":
    exit_with(main)
