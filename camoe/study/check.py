"""What can be told of a study before anything of it is made or trained: its trials, its groups, what is not fair."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec

from camoe.config.pipeline import Config
from camoe.contracts.errors import ConfigError
from camoe.contracts.shown.suggestions import suggestion
from camoe.study.declared import Study
from camoe.study.states import groups
from camoe.study.trial import StudyError, config_of, trial_of

# Settings of training under which other heads change only what heads are for, and a trial is one model.
FAIR = {"normalise": "batch", "ensemble": 1, "refit": False}


def require_sound(study: Study) -> list[str]:
    """Make every variant's configuration on every fold; return what is not fair among them, a line each.

    Raises:
        ConfigError: the configuration of a variant is wrong.
        StudyError: a claim or picture names a group of rows that there is not, or a library is missing.
    """
    _require_libraries(study)
    unfair = dict[str, None]()
    for fold in study.folds:
        for variant, own in study.variants.items():
            config = config_of(trial_of(study, fold, variant, study.seeds[0], table_version=0).task)
            _require_groups(study, config)
            if own.system == "network":
                unfair |= dict.fromkeys(f"variant {variant}: {line}" for line in _unfair(config))
    return list(unfair)


def require_sizes(study: Study, versions: Mapping[str, int]) -> None:
    """Look, before any trial, that each variant can be as large as the one that it is to match.

    `versions` are those of the folds' tables: a model's size rests on their vocabularies.

    Raises:
        StudyError: no widths make a variant as large.
    """
    matching = [name for name, variant in study.variants.items() if variant.match_parameters]
    if not matching:
        return
    from camoe.study import network  # noqa: PLC0415 - it loads PyTorch and Horovod

    for fold, version in versions.items():
        for variant in matching:
            task = trial_of(study, fold, variant, study.seeds[0], table_version=version).task
            try:
                network.parameters(network.matched(task, config_of(task)), version)
            except ConfigError as error:
                raise StudyError(f"variants.{variant}, fold {fold}: {error}") from None


def _unfair(config: Config) -> Iterator[str]:
    for name, wanted in FAIR.items():
        found = getattr(config.training, name)
        if found != wanted:
            yield f"training.{name} is {_yaml(found)}, and comparing fairly takes {_yaml(wanted)} (base.overrides)"


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _require_libraries(study: Study) -> None:
    needed = {
        "optuna": study.tuning is not None,
        "lightgbm": any(of.system != "network" for of in study.variants.values()),
    }
    for name, wanted in needed.items():
        if wanted and find_spec(name) is None:
            raise StudyError(f"the study needs {name}: pip install 'camoe[study]'")


def _require_groups(study: Study, config: Config) -> None:
    names = [name for _, name in groups(config.slots)]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise StudyError(f"two groups of rows, slots or modalities, are called {twice[0]}: a study tells them by name")
    wanted = [(f"claims.{name}", group) for name, claim in study.claims.items() for group in claim.groups]
    wanted += [("pictures", group) for pair in study.pictures for group in pair]
    for where, group in wanted:
        if group not in names:
            raise StudyError(f"{where}: there is no group '{group}' of rows; {suggestion(group, names)}")
