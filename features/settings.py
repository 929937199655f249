"""Hashes of the settings that decide the rows of a day, and its history, given the input's content."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from camoe.contracts.features import FeatureSet
from camoe.contracts.hashing import short_hash
from camoe.contracts.layout import Layout
from camoe.contracts.sources import IMPRESSION_COLUMNS, Sources
from features.read.hash_key import fingerprint, read_key

# The part of the settings that decides which rows there are, and their labels.
ROWS = "rows"
LOG = "impressions"


def settings_hash(sources: Sources, features: FeatureSet, zone: str) -> str:
    """Return the `short_hash` of all that decides a day's rows, given the input's content.

    Left out: where the tables lie, limits and floors, how a join is carried out, the name of the variable that holds a
    hashing key, what only the model does with a feature, and the slots, which a table lists for itself. Included: how
    many days back repeats are looked for, also where it follows from the path; and a hashing key's fingerprint, since
    rows hashed with another key would join with none of the earlier ones.

    Raises:
        ConfigError: a hashing key is missing or short.
    """
    # Only where there are some, so that tables without any keep the identity that they were built with.
    targets = [[item.model_dump(mode="json") for item in features.targets]] if features.targets else []
    return short_hash(json.dumps([_mapping(sources), features.schema_hash(), zone, *targets], sort_keys=True))


def settings_parts(sources: Sources, zone: str) -> dict[str, str]:
    """Return the hash of each part of the settings beside the features: `rows`, each entity, each mapped column of it.

    Columns that the impressions map beside those that they must are parts of their own, too: what a feature that is
    added needs may be added, and changes nothing that is there. Raises as `settings_hash` does.
    """
    return {name: short_hash(json.dumps(part, sort_keys=True)) for name, part in _parts(sources, zone).items()}


def history_folder(layout: Layout, sources: Sources, features: FeatureSet, zone: str) -> Path:
    """Return the folder of the history that runs of these settings read and write; features beside it do not matter.

    One that was made when its name was that of all settings is used on. Raises as `settings_hash` does.
    """
    own = layout.history / _history_hash(sources, features, zone)
    before = layout.history / settings_hash(sources, features, zone)
    return before if before.is_dir() and not own.is_dir() else own


def _history_hash(sources: Sources, features: FeatureSet, zone: str) -> str:
    history = features.history
    if history is None:
        return short_hash("")
    keys = {name: key.by for name, key in history.keys.items()}
    counted = history.model_dump(mode="json", exclude={"leaks", "smoothing", "transform", "make", "keys"})
    told = {"name", "sql", "key", "objective", "within", "max_length"}
    values = [item.model_dump(mode="json", include=told) for item in features.from_log]
    sql = "\n".join([*(one for by in keys.values() for one in by), *(item.sql for item in features.from_log)])
    parts = {name: part for name, part in _parts(sources, zone).items() if _seen_by(sql, name)}
    return short_hash(json.dumps([parts, keys, counted, values], sort_keys=True))


def _seen_by(sql: str, part: str) -> bool:
    """Return whether expressions may see the part: what decides the rows, or an entity's column that is named."""
    table, _, column = part.partition(".")
    if table in {ROWS, LOG}:
        return True
    as_a_whole = rf"(?<![\w.]){re.escape(table)}(?!\w|`?\s*\.)"
    named = all(re.search(rf"(?<!\w){re.escape(word)}(?!\w)", sql, re.IGNORECASE) for word in (table, column) if word)
    return named or re.search(as_a_whole, sql, re.IGNORECASE) is not None


def _parts(sources: Sources, zone: str) -> dict[str, Any]:
    mapping = _mapping(sources)
    entities: Mapping[str, Any] = mapping.pop("entities", {})
    columns = mapping["impressions"].pop("columns")
    rows = [mapping, {name: columns.pop(name) for name in IMPRESSION_COLUMNS}, zone]
    parts = {ROWS: rows} | {f"{LOG}.{name}": sql for name, sql in columns.items()}
    for name, entity in entities.items():
        own = entity.pop("columns")
        shape = {column: own.pop(column) for column in ("ts", "available_at", entity["key"]) if column in own}
        parts |= {name: [entity, shape]} | {f"{name}.{column}": sql for column, sql in own.items()}
    return parts


def _mapping(sources: Sources) -> dict[str, Any]:
    mapping = sources.model_dump(mode="json", exclude_defaults=True, exclude={"max_quarantined", "max_misfiled"})
    tables = [mapping["impressions"], mapping.get("outcomes", {}), *mapping.get("entities", {}).values()]
    for table in (*tables, *mapping["objectives"].values()):
        for name in ("path", "day_column", "strategy", "min_matched", "min_share"):
            table.pop(name, None)
    if sources.impressions.reach_days is not None:
        mapping["impressions"]["repeats_days"] = sources.impressions.reach_days
    if sources.keyed_hash is not None:
        mapping["keyed_hash"].pop("key_env", None)
        mapping["keyed_hash"]["key"] = fingerprint(read_key(sources.keyed_hash))
    return mapping
