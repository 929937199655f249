"""A trial: one variant, trained with one seed on one fold; what its process is told, and what it leaves. Torch-free."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationError

from camoe.config.pipeline import Config
from camoe.contracts.config_file import Section, load
from camoe.contracts.errors import CamoeError
from camoe.contracts.files import write_text
from camoe.contracts.hashing import short_hash
from camoe.contracts.layout import Layout
from camoe.metrics.table import ALL
from camoe.study.declared import Fold, Grouping, Study

TASK, RESULT, STATES, LOG = "task.json", "manifest.json", "states.parquet", "log.txt"
# Settings that say where something lies, not what it is.
PLACES = {"out", "lake", "input"}


class StudyError(CamoeError):
    """A study cannot go on, or what a trial left cannot be used."""


class Factors(Section):
    """Factors of all learning rates, and of what regularises."""

    rate: float = 1.0
    regularisation: float = 1.0


class Task(Section):
    """What the process of a trial is told.

    `matched` are the overrides of the variant whose number of parameters it is to have; `medians` are scores by step
    of a validation above which it gives up. `scored` are the days whose states it leaves.
    """

    variant: str
    fold: str
    seed: int
    system: Literal["network", "lightgbm"]
    config: str
    overrides: tuple[str, ...]
    matched: tuple[str, ...] | None = None
    factors: Factors = Factors()
    table_version: int
    choose: tuple[date, ...] = ()
    medians: dict[int, float] = Field(default_factory=dict)


class Result(Section):
    """What a trial has come to; the last file that it writes.

    `score` is what tuning compares, the log loss over the entropy of the slots' own rates, on the days `choose`, or
    else on the validation days; None of a trial that was given up. `checks` are the steps and scores of validations.
    `rows` counts the predictions of the test days, `unlabelled` those of them without a label; `states` is the SHA-256
    of the file of states.
    """

    variant: str
    fold: str
    seed: int
    factors: Factors
    given_up: bool
    score: float | None
    checks: tuple[tuple[int, float], ...] = ()
    parameters: int | None = None
    table_version: int
    model_version: str | None = None
    code_version: str
    rows: int = 0
    unlabelled: int = 0
    seconds: float
    states: str | None = None


@dataclass(frozen=True)
class Trial:
    """A task and the folder in which it is done; `key` names it for people."""

    task: Task
    folder: Path

    @property
    def log(self) -> Path:
        """What its process says; on a disk in any case."""
        return Layout(self.folder).work / LOG

    @property
    def key(self) -> str:
        """Fold, variant and seed, and the factors where they are not one."""
        factors = self.task.factors
        tuned = "" if factors == Factors() else f" x{factors.rate:.3g}/{factors.regularisation:.3g}"
        return f"{self.task.fold} {self.task.variant} seed {self.task.seed}{tuned}"

    def result(self) -> Result | None:
        """Return what the trial came to; None while it is not done.

        Raises:
            StudyError: its manifest or its states are not those that were written.
        """
        path = self.folder / RESULT
        try:
            found = Result.model_validate_json(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValidationError as error:
            raise StudyError(
                f"{path} is damaged ({error.error_count()} errors); remove it: its trial is done again"
            ) from None
        if found.states is not None and _sha256(self.folder / STATES) != found.states:
            raise StudyError(
                f"{self.folder / STATES} is not the file that its trial wrote; remove {path}: the trial is done again"
            )
        return found

    def tell(self) -> None:
        """Write the task for the trial's process."""
        write_text(self.folder / TASK, self.task.model_dump_json(indent=2) + "\n")

    def finish(self, result: Result) -> None:
        """Write what the trial has come to."""
        whole = (self.folder / STATES).is_file() and not result.given_up
        states = _sha256(self.folder / STATES) if whole else None
        write_text(self.folder / RESULT, result.model_copy(update={"states": states}).model_dump_json(indent=2) + "\n")


def read_task(folder: Path) -> Trial:
    """Return the trial whose process works in `folder`."""
    return Trial(Task.model_validate_json((folder / TASK).read_bytes()), folder)


def trial_of(
    study: Study, fold: str, variant: str, seed: int, *, table_version: int, factors: Factors | None = None
) -> Trial:
    """Return a trial of `study`; another setting, table version or factor is another trial, in a folder of its own.

    Raises:
        ConfigError: the configuration that comes of all overrides is wrong.
        StudyError: it names a table of its own.
    """
    own, days = study.variants[variant], study.folds[fold]
    factors, overrides = factors or Factors(), _overrides(study, fold, variant, seed)
    config = load(study.base.config, Config, overrides)
    if config.training.table is not None:
        raise StudyError(f"variant {variant}: training.table is set, and a study reads the table of the fold's lake")
    if own.system == "network" and factors != Factors():
        overrides = (*overrides, *_scaled(config, factors))
    matched = None if own.match_parameters is None else _overrides(study, fold, own.match_parameters, seed)
    task = Task(
        variant=variant, fold=fold, seed=seed, system=own.system, config=study.base.config, overrides=overrides,
        matched=matched, factors=factors, table_version=table_version,
        choose=days.choose.days() if days.choose else (),
    )  # fmt: skip
    folder = study.out / "trials" / fold / variant / f"seed{seed}-{_identity(task, config, days)}"
    return Trial(task.model_copy(update={"overrides": (*overrides, f"out={folder}")}), folder)


def config_of(task: Task) -> Config:
    """Return the configuration of a trial."""
    return load(task.config, Config, task.overrides)


def _overrides(study: Study, fold: str, variant: str, seed: int) -> tuple[str, ...]:
    days, own = study.folds[fold], study.variants[variant]
    base = (*study.base.given, *days.overrides)
    heads = () if own.grouping is None else (_heads(load(study.base.config, Config, base), own.grouping, variant),)
    return (*base, *heads, *own.overrides, f"lake={days.lake}", f"training.seed={seed}")


def _heads(config: Config, grouping: Grouping, variant: str) -> str:
    """Return the override that groups the slots of `config` under heads of its first objective.

    Raises:
        StudyError: there is one group only.
    """
    slots, (objective, *_) = config.slots, config.heads.objectives
    groups = {"one": (ALL,), "modality": slots.modalities, "slot": tuple(slot.id for slot in slots.slots)}[grouping]
    if grouping != "one" and len(groups) == 1:
        raise StudyError(
            f"variants.{variant}: all slots of {config.out} have one {grouping}, '{groups[0]}', so there is one head; "
            "say in the slots' file which modality each has, choose grouping=slot, or leave the variant out"
        )
    own = [
        {
            "name": f"{objective}_{group}",
            "objective": objective,
            "where": {grouping: [group]} if grouping != "one" else {},
        }
        for group in groups
    ]
    others = [head.model_dump(mode="json") for head in config.heads.heads if head.objective != objective]
    column = config.heads.column if any(config.heads.column in head["where"] for head in others) else None
    return f"heads={json.dumps({'column': column, 'heads': [*own, *others]})}"


def _scaled(config: Config, factors: Factors) -> Iterator[str]:
    """Yield the overrides that the factors of a network stand for."""
    training = config.training
    for name in ("learning_rate", "embedding_learning_rate"):
        yield f"training.{name}={json.dumps(getattr(training, name) * factors.rate)}"
    for name in ("weight_decay", "embedding_weight_decay"):
        yield f"training.{name}={json.dumps(getattr(training, name) * factors.regularisation)}"


def _identity(task: Task, config: Config, fold: Fold) -> str:
    """Hash all that decides what a trial comes to: settings that are given, table, days; not where it is done.

    A setting that a later version of the project adds leaves earlier trials what they are.
    """
    matched = None if task.matched is None else load(task.config, Config, task.matched)
    settings = [
        None if one is None else one.model_dump(mode="json", exclude=PLACES, exclude_defaults=True)
        for one in (config, matched)
    ]
    factors, choose = task.factors.model_dump(), [day.isoformat() for day in task.choose]
    parts = [task.system, settings, factors, str(fold.lake.resolve()), task.table_version, choose]
    return short_hash(json.dumps(parts, sort_keys=True))


def _sha256(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except FileNotFoundError:
        return None
