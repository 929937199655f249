"""The entity tables of a lake: read, checked, and joined to the impressions one after the other."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.sources import Entity, Sources
from features.point_in_time import join_entity, with_key
from features.raw import read_table


def matched_column(name: str) -> str:
    """Helper column: whether the impression has a row of entity `name`."""
    return f"_matched_{name}"


def read_entities(spark: SparkSession, folder: Path, sources: Sources, impressions: DataFrame) -> dict[str, DataFrame]:
    """The mapped rows of every entity, by name; `impressions` are those that they are to join.

    Raises:
        InputError: a table is missing, empty, lacks a column, or has no ts and yet several rows of one key.
        ConfigError: an entity has the name of a mapped impression column.
    """
    tables = {}
    for name, entity in sources.entities.items():
        if name in sources.impressions.columns:
            raise ConfigError(f"entity '{name}' has the name of an impression column; rename one of them")
        tables[name] = read_table(spark, folder, name, entity, sources.keyed_hash)
        if "ts" not in entity.columns:
            _require_one_row_a_key(with_key(tables[name], entity, impressions), name, folder, entity)
    return tables


def join_entities(impressions: DataFrame, tables: Mapping[str, DataFrame], sources: Sources) -> DataFrame:
    """Add each entity's struct column and whether it matched; rows out = rows in."""
    joined = impressions
    for name, entity in sources.entities.items():
        joined = join_entity(joined, tables[name], name, entity)
    return joined.withColumns({matched_column(name): F.col(name).isNotNull() for name in sources.entities})


def _require_one_row_a_key(rows: DataFrame, name: str, folder: Path, entity: Entity) -> None:
    twice = rows.groupBy("_key").count().where("count > 1").first()
    if twice is not None:
        raise InputError(
            f"{name} at {folder / entity.path} has {twice['count']} rows with {entity.key} = {twice['_key']} "
            "and maps no ts to tell versions apart; map ts or leave one row a key"
        )
