"""Feast's Spark offline store."""

from __future__ import annotations

import tempfile
from pathlib import Path

from feast import Entity, FeatureStore, FeatureView, RepoConfig
from feast.infra.offline_stores.contrib.spark_offline_store.spark_source import SparkSource
from pyspark.sql import DataFrame, SparkSession


def join(spark: SparkSession, folder: Path, features: list[str]) -> tuple[DataFrame, dict[str, str], str]:
    """Get the features of the impressions as a Spark frame."""
    store = _store(Path(tempfile.mkdtemp()))
    user = Entity(name="user", join_keys=["user_id"])
    source = SparkSource(name="versions", path=str(folder / "versions"), file_format="parquet", timestamp_field="ts")
    view = FeatureView(name="versions", entities=[user], source=source, ttl=None)
    store.apply([user, view])
    spark.read.parquet(str(folder / "impressions")).createOrReplaceTempView("impressions")
    served = "SELECT impression_id, user_id, ts AS event_timestamp, campaign_id, slot FROM impressions"
    names = [f"versions:{name}" for name in features]
    job = store.get_historical_features(entity_df=served, features=names)
    return job.to_spark_df(), {name: name for name in features}, "get_historical_features"


def _store(home: Path) -> FeatureStore:
    settings = RepoConfig(
        project="bench",
        registry=str(home / "registry.db"),
        provider="local",
        offline_store={"type": "spark"},
        online_store=None,
        entity_key_serialization_version=3,
    )
    return FeatureStore(config=settings)
