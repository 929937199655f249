"""Our join, its statistics pass included."""

from __future__ import annotations

from datetime import date
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession

from camoe.contracts.sources import Entity
from features.join.choice import Limits
from features.join.point_in_time import decide, join_entity

DAYS = [date(2026, 1, day) for day in range(1, 31)]


def join(spark: SparkSession, folder: Path, features: list[str]) -> tuple[DataFrame, dict[str, str], str]:
    """Join the versions as the struct `user`."""
    impressions = spark.read.parquet(str(folder / "impressions"))
    rows = spark.read.parquet(str(folder / "versions"))
    entity = Entity(path="versions", key="user_id", columns={name: name for name in ("user_id", "ts", *features)})
    choice = decide(impressions, rows, "user", entity, DAYS, limits=Limits())
    joined = join_entity(impressions, rows, "user", entity, choice)
    return joined, {name: f"user.{name}" for name in features}, str(choice)
