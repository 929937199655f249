"""The entity tables of a lake: read, checked, and joined to the impressions one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.types import BooleanType, DoubleType, StructField, StructType, TimestampType

from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.schema import reserved_names
from camoe.contracts.sources import Entity, Sources
from features.join.choice import Choice, Limits
from features.join.names import AGE, KEY
from features.join.point_in_time import decide, join_entity
from features.join.versions import with_key
from features.read.raw import read_table
from features.spark.together import together

DEFAULT_LIMITS = Limits()
NONE_LEFT_OUT: Mapping[str, datetime] = {}


@dataclass(frozen=True)
class JoinResult:
    """Impressions with their entities, and how each entity was joined."""

    frame: DataFrame
    choices: tuple[Choice, ...]


def matched_column(name: str) -> str:
    """Return the name of the helper column that says whether the impression has a row of entity `name`."""
    return f"_matched_{name}"


def read_entities(
    spark: SparkSession,
    folder: Path,
    sources: Sources,
    impressions: DataFrame,
    since: Mapping[str, datetime] = NONE_LEFT_OUT,
) -> dict[str, DataFrame]:
    """Read the mapped rows of every entity, by name; `impressions` are those that they are to join.

    Rows that became known before the time that `since` has for their entity may be left out.

    Raises:
        InputError: a table is missing, empty, lacks a column, or has no ts and yet several rows of one key.
        ConfigError: an entity has the name of a mapped impression column, or one that the training table uses itself.
    """
    tables = {}
    mapped = {column.lower() for column in sources.impressions.columns}
    for name, entity in sources.entities.items():
        if name.lower() in mapped:
            raise ConfigError(f"entity '{name}' has the name of an impression column; rename one of them")
        if name.lower() in reserved_names([*sources.objectives, *sources.impressions.labels]):
            raise ConfigError(f"entity '{name}' has a name the training table uses itself; choose another")
        tables[name] = read_table(spark, folder, name, entity, sources.keyed_hash, since=since.get(name))
        keyed = with_key(tables[name], name, entity, impressions)
        if "ts" not in entity.columns:
            _require_one_row_a_key(keyed, name, folder, entity)
    return tables


def unjoined(impressions: DataFrame, tables: Mapping[str, DataFrame], sources: Sources) -> DataFrame:
    """Return the columns that `join_entities` gives, without a row, for checks before anything is joined."""
    fields = [*impressions.schema.fields]
    for name, entity in sources.entities.items():
        kinds = {column: tables[name].schema[column].dataType for column in entity.columns}
        kinds |= {column: TimestampType() for column in ("ts", "available_at") if column in kinds}
        kinds |= {AGE: DoubleType()}
        fields.append(StructField(name, StructType([StructField(column, kind) for column, kind in kinds.items()])))
    fields += [StructField(matched_column(name), BooleanType()) for name in sources.entities]
    return impressions.sparkSession.createDataFrame([], StructType(fields))


def join_entities(
    impressions: DataFrame,
    tables: Mapping[str, DataFrame],
    sources: Sources,
    days: Sequence[date],
    limits: Limits = DEFAULT_LIMITS,
) -> JoinResult:
    """Add each entity's struct column and whether it matched; rows out = rows in.

    Counts the tables, and the impressions where a table is not small, so `impressions` are best persisted. `days`:
    those of the impressions, which tune the choices.
    """
    entities = sources.entities
    choices = together(
        impressions.sparkSession,
        [
            partial(decide, impressions, tables[name], name, item, days, limits=limits)
            for name, item in entities.items()
        ],
    )
    joined = impressions
    # Broadcasts come last: what they add then need not be shuffled.
    for choice in sorted(choices, key=lambda choice: choice.strategy == "broadcast"):
        joined = join_entity(joined, tables[choice.entity], choice.entity, entities[choice.entity], choice)
    flags = [F.col(name).isNotNull().alias(matched_column(name)) for name in entities]
    return JoinResult(joined.select(*impressions.columns, *entities, *flags), tuple(choices))


def _require_one_row_a_key(rows: DataFrame, name: str, folder: Path, entity: Entity) -> None:
    twice = rows.where(F.col(KEY).isNotNull()).groupBy(KEY).count().where("count > 1").count()
    if twice:
        # The message names no key: it may be a person's identifier.
        raise InputError(
            f"{name} at {folder / entity.path} has several rows for {twice:,} values of {entity.key} and maps no ts to "
            f"tell versions apart; map ts or leave one row a key (to find them: group by {entity.columns[entity.key]} "
            "having count(*) > 1)"
        )
