"""The check of a configuration against its input: what a build would refuse, as far as it is seen without Spark."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from camoe.contracts.errors import CamoeError, InputError
from camoe.contracts.features import FeatureSet
from camoe.contracts.schema import label_column, reserved_names
from camoe.contracts.shown.suggestions import alike
from camoe.contracts.sources import Impressions, Sources, Table
from features.check.tables import Columns, TableLook, look_at
from features.join.names import AGE
from features.plan import Plan
from features.read.files import required_paths
from features.read.hash_key import read_key
from features.read.window import DayWindow
from features.spark.names import column_alone, columns_named
from features.tables.training import is_remade

IDENTIFIERS = ("impression_id", "user_id", "campaign_id")
# Types of which Spark makes keys that meet no number and no text.
NO_KEYS = ("bool", "date", "time", "duration")
# What features see beside the mapped columns.
TIME = ("local_ts", "date")


@dataclass(frozen=True)
class InputCheck:
    """What a check found: each table by name, the types of identifiers, and what is wrong, each with what to do."""

    tables: Mapping[str, TableLook]
    identifiers: Mapping[str, str]
    faults: tuple[str, ...]


def require_input(plan: Plan) -> None:
    """Raise `InputError` with all that `check_input` finds wrong, or when the training table has other settings."""
    faults = check_input(plan.folder, plan.sources, plan.features, plan.window).faults
    if faults:
        raise InputError("; ".join(faults))
    is_remade(plan.target)


def check_input(folder: Path, sources: Sources, features: FeatureSet, window: DayWindow) -> InputCheck:
    """Look at the input of the run of `window`: its files, their columns, and the names in all expressions."""
    looks: dict[str, TableLook] = {}
    types: dict[str, dict[str, str]] = {}
    faults = [*_names(sources), *_features(sources, features)]
    for name, table in _tables(sources).items():
        try:
            looks[name] = look_at(name, table, required_paths(folder, sources, name, table, window))
        except CamoeError as error:
            faults.append(str(error))
            continue
        for columns in looks[name].columns:
            faults += _unmapped(columns, table)
            types.setdefault(name, _types(columns, table))
    faults += _keys(sources, types)
    told = types.get("impressions", {})
    identifiers = {name: told[name] for name in IDENTIFIERS if name in told}
    return InputCheck(looks, identifiers, tuple(dict.fromkeys(faults)))


def _tables(sources: Sources) -> dict[str, Table]:
    logs: dict[str, Table] = {"impressions": sources.impressions}
    if sources.outcomes is not None:
        logs["outcomes"] = sources.outcomes
    return {**logs, **sources.entities}


def _names(sources: Sources) -> Iterator[str]:
    """Yield what is wrong with the names of columns and entities, and with the hashing key."""
    reserved = reserved_names([*sources.objectives, *sources.impressions.labels])
    mapped = {name.lower() for name in sources.impressions.columns}
    for name in sources.impressions.columns:
        if name.lower() in reserved:
            yield f"impressions map '{name}', a name the training table uses itself; choose another"
    for name in sources.entities:
        if name.lower() in reserved:
            yield f"entity '{name}' has a name the training table uses itself; choose another"
        if name.lower() in mapped:
            yield f"entity '{name}' has the name of an impression column; rename one of them"
    if sources.keyed_hash is not None:
        try:
            read_key(sources.keyed_hash)
        except CamoeError as error:
            yield str(error)


def _unmapped(columns: Columns, table: Table) -> Iterator[str]:
    """Yield the expressions of the table's mapping that name a column which the files lack."""
    labels = dict(table.labels) if isinstance(table, Impressions) else {}
    if isinstance(table, Impressions) and table.weight is not None:
        labels["weight"] = table.weight
    # The first line of a CSV that lacks its header is a row of data, which no message may quote.
    headed = table.format == "csv" and table.options.get("header", "").lower() == "true"
    told = f"the {len(columns.types)} of the first line" if headed else ", ".join(columns.types)
    for name, sql in {**table.columns, **labels}.items():
        for missing in _missing(sql, columns.types):
            said = _no_column(missing, columns.types)
            yield f"{columns.where}: '{name}: {sql}': {said}; the columns there are {told}"


def _features(sources: Sources, features: FeatureSet) -> Iterator[str]:
    """Yield the expressions over mapped columns that name one which is not mapped."""
    log = sources.impressions
    there = [*log.columns, *TIME]
    mapped = [*there, *(label_column(name) for name in log.labels)]
    survivors = [("survivor", sql) for sql in log.survivor]
    yield from _unseen("the survivor of duplicate impressions", survivors, mapped)
    yield from _unseen("the exclusions of the impressions", [(one.name, one.where) for one in log.exclude], mapped)
    named = expressions(features)
    yield from _unseen("the features", named, [*there, *sources.entities])
    for name, sql in named:
        for first, *fields in columns_named(sql):
            entity = sources.entities.get(first)
            if entity is not None and fields and not _has(fields[0], [*entity.columns, AGE]):
                known = [*entity.columns, AGE]
                yield (
                    f"the features: '{name}: {sql}': {first} has no column {_no_column(fields[0], known, said='')}; "
                    f"it maps {', '.join(known)}"
                )


def expressions(features: FeatureSet) -> list[tuple[str, str]]:
    """Return the name and SQL of whatever sees the impressions and their entities."""
    named = [(one.name, one.sql) for one in features.categorical]
    named += [(one.name, one.sql) for one in features.numeric if not one.reads]
    named += [(one.name, one.sql) for one in features.sequence]
    named += [(one.name, one.sql) for one in features.targets]
    keys = features.history.keys if features.history is not None else {}
    return [*named, *((f"history.keys.{name}", sql) for name, key in keys.items() for sql in key.by)]


def _unseen(where: str, named: Iterable[tuple[str, str]], known: Collection[str]) -> Iterator[str]:
    for name, sql in named:
        for missing in _missing(sql, known):
            yield f"{where}: '{name}: {sql}': {_no_column(missing, known)}; the columns there are {', '.join(known)}"


def _missing(sql: str, known: Collection[str]) -> Iterator[str]:
    yield from (name[0] for name in columns_named(sql) if not _has(name[0], known))


def _has(name: str, known: Collection[str]) -> bool:
    return name.lower() in {one.lower() for one in known}


def _no_column(missing: str, known: Collection[str], said: str = "there is no column ") -> str:
    meant = alike(missing, known)
    return f"{said}`{missing}`" + (f", did you mean `{meant}`?" if meant else "")


def _types(columns: Columns, table: Table) -> dict[str, str]:
    """Return the types of the mapped columns that are a raw column and nothing else."""
    own = {name.lower(): kind for name, kind in columns.types.items()}
    alone = {name: column_alone(sql) for name, sql in table.columns.items()}
    return {name: own[column.lower()] for name, column in alone.items() if column and column.lower() in own}


def _keys(sources: Sources, types: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """Yield the joins whose two keys have types that no value is of both."""
    tables = {name: entity.key for name, entity in sources.entities.items()}
    for name, key in {**tables, **({"outcomes": "impression_id"} if sources.outcomes else {})}.items():
        kind, wanted = types.get(name, {}).get(key), types.get("impressions", {}).get(key)
        if kind and wanted and kind != wanted and kind.startswith(NO_KEYS) != wanted.startswith(NO_KEYS):
            yield (
                f"{name}: {key} is {kind}, but {wanted} in the impressions, so no row would meet another; cast it in "
                "the mapping of one of them"
            )
