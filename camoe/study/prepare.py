"""The tables of a study, made by the jobs that make them, where they are not there."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path

from camoe.config.ending import run_below
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.days import day_list, days_between
from camoe.contracts.layout import Layout
from camoe.contracts.shown.commands import LOCAL_SPARK
from camoe.contracts.snapshot import is_delta_table
from camoe.study.declared import Fold, Study
from camoe.study.trial import StudyError

SUBMIT = ("--properties-file", LOCAL_SPARK)


def prepare(study: Study) -> None:
    """Make the lakes and build the training tables of all folds that have none, one after the other.

    Raises:
        StudyError: a job failed; it has said why.
    """
    for fold in study.folds.values():
        if not is_delta_table(Layout(fold.lake).training):
            for command in commands(study, fold):
                _run(command, Layout(fold.lake).logs)


def commands(study: Study, fold: Fold) -> Iterator[tuple[str, ...]]:
    """Yield the jobs that make the table of a fold, as command lines after `spark-submit`."""
    if fold.make is not None:
        yield ("jobs/make_lake.py", "--config", fold.make, f"out={fold.lake}", *fold.make_overrides)
    given = (*study.base.given, *fold.overrides, f"out={fold.lake}")
    days = day_list(_days(load(study.base.config, Config, given), fold))
    yield ("jobs/build_features.py", "--config", study.base.config, *given, "--days", days)


def _days(config: Config, fold: Fold) -> Sequence[date]:
    """Return the days of the fold, those that tuning is judged on among them; not those between that nobody reads."""
    chosen = fold.choose.days() if fold.choose else ()
    wanted = {*config.days.all_days(), *chosen}
    return [day for day in days_between(min(wanted), max(wanted)) if day in wanted]


def _run(command: Sequence[str], logs: Path) -> None:
    """Run a job in a local Spark; what Spark says goes into a log."""
    print(f"study: {shlex.join(command)}", flush=True)
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{Path(command[0]).stem}.log"
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable, "PYSPARK_DRIVER_PYTHON": sys.executable}
    submit = str(Path(sys.executable).with_name("spark-submit"))
    with log.open("w", encoding="utf-8") as file:
        code = run_below((submit, *SUBMIT, *command), file, environment)
    if code != 0:
        raise StudyError(f"{command[0]} ended with code {code}, for the reason above (log: {log})")
