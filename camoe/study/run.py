"""A whole study: the tables it needs, the tuning, and every variant with every seed on every fold."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from camoe.contracts.errors import error_text
from camoe.contracts.files import write_json
from camoe.contracts.layout import Layout
from camoe.contracts.places.leases import leased
from camoe.contracts.places.pins import pinned
from camoe.contracts.snapshot import logged
from camoe.study.check import require_sizes
from camoe.study.declared import Study
from camoe.study.schedule import Progress, run
from camoe.study.trial import Factors, Result, StudyError, Trial, trial_of

# Versions of the tables that the study has begun with, and factors that its tuning chose.
RECORD = "study.json"
Key = tuple[str, str, int]


@dataclass(frozen=True)
class Done:
    """A study that is over: its trials by variant, fold and seed, and the factors that were chosen for each variant."""

    study: Study
    trials: Mapping[Key, Trial]
    results: Mapping[Key, Result]
    factors: Mapping[str, Factors]


def run_study(study: Study, jobs: int) -> Done:
    """Do all trials of `study` that are not done, `jobs` at a time, from one version of each table.

    Raises:
        StudyError: a trial failed, a variant cannot have its size, or another process is at work on the study.
        ConfigError, SnapshotError: a variant is wrong, or a table is not there.
    """
    with leased(study.out / ".study.lock", f"study in {study.out}", StudyError), _pinned(study) as versions:
        require_sizes(study, versions)
        total = len(study.variants) * len(study.folds) * len(study.seeds)
        # Of those of the tuning each variant's best is one that is reported, too.
        more = len(study.variants) * (study.tuning.trials - 1) if study.tuning else 0
        progress = Progress(total + more, jobs)
        factors = _tuned(study, versions, jobs, progress) if study.tuning else {}
        trials = _trials(study, versions, factors)
        found = run(list(trials.values()), jobs, progress)
        _record(study, versions, factors)
        return Done(study, trials, dict(zip(trials, found, strict=True)), factors)


def _trials(study: Study, versions: Mapping[str, int], factors: Mapping[str, Factors]) -> dict[Key, Trial]:
    """Return all trials, seed by seed, so that what is done when a study is stopped can be compared."""
    return {
        (variant, fold, seed): trial_of(
            study, fold, variant, seed, table_version=versions[fold], factors=factors.get(variant)
        )
        for seed in study.seeds
        for fold in study.folds
        for variant in study.variants
    }


def _tuned(study: Study, versions: Mapping[str, int], jobs: int, progress: Progress) -> dict[str, Factors]:
    """Return the best factors of each variant, on the first fold and with the first seed."""
    from camoe.study.tuning import tune  # noqa: PLC0415 - it needs Optuna, of the extra `study`

    assert study.tuning is not None
    fold, seed = next(iter(study.folds)), study.seeds[0]

    def trial_each(wanted: Mapping[str, tuple[Factors, dict[int, float]]]) -> Mapping[str, Result]:
        trials = []
        for variant, (factors, medians) in wanted.items():
            trial = trial_of(study, fold, variant, seed, table_version=versions[fold], factors=factors)
            trials.append(Trial(trial.task.model_copy(update={"medians": medians}), trial.folder))
        return dict(zip(wanted, run(trials, jobs, progress), strict=True))

    return tune(list(study.variants), study.tuning, trial_each)


@contextmanager
def _pinned(study: Study) -> Iterator[dict[str, int]]:
    """Pin the version of each fold's table while the block runs: the one that the study began with, or the newest."""
    known = _recorded(study)
    versions = {}
    with ExitStack() as stack:
        for name, fold in study.folds.items():
            layout = Layout(fold.lake)
            versions[name] = logged(layout.training, known.get(name)).version
            why = f"the study in {study.out} reads it"
            stack.enter_context(pinned(layout.pins, layout.training, versions[name], "study", why))
        _record(study, versions, {})
        yield versions


def _recorded(study: Study) -> dict[str, int]:
    path = study.out / RECORD
    try:
        found: dict[str, int] = json.loads(path.read_bytes())["tables"]
    except FileNotFoundError:
        return {}
    except (ValueError, KeyError) as error:
        raise StudyError(
            f"{path} is damaged ({error_text(error)}); remove it: the study then reads the newest version of each table"
        ) from None
    return found


def _record(study: Study, versions: Mapping[str, int], factors: Mapping[str, Factors]) -> None:
    chosen = {name: one.model_dump() for name, one in factors.items()}
    content = {"tables": dict(versions), "factors": chosen, "study": study.model_dump(mode="json")}
    write_json(study.out / RECORD, content)
