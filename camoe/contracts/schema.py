"""Columns and properties of the tables that pass between the stages."""

from __future__ import annotations

from collections.abc import Iterable

IMPRESSION_KEYS = ("impression_id", "user_id", "campaign_id", "ts")
# The run that built the row's day; constant within a file, so the log tells which run each file comes from.
RUN_ID = "run_id"
PHYSICAL_IDS = ("modality_id", "slot_id")
TRAINING_PARTITIONS = ("modality", "slot", "date")
PREDICTION_PARTITIONS = ("modality", "slot", "date", "model_version")
STATE_PARTITIONS = ("date", "model_version")

# Names that the training table uses itself, beside those of labels; the slot is the impressions' own.
RESERVED = frozenset((*PHYSICAL_IDS, *TRAINING_PARTITIONS, RUN_ID, "label_as_of", "local_ts")) - {"slot"}

# Table properties of the training table that say what its rows are.
FEATURE_SCHEMA_PROPERTY = "camoe.featureSchemaHash"
SLOTS_PROPERTY = "camoe.slots"
SETTINGS_PROPERTY = "camoe.settingsHash"
# The same one by one, as JSON: the definition of each feature, and the hash of each part of the other settings.
FEATURES_PROPERTY = "camoe.features"
PARTS_PROPERTY = "camoe.settings"


def target_column(target: str) -> str:
    """Name the training-table column of a target: a probability, or null where it is not known."""
    return f"target_{target}"


def label_column(objective: str) -> str:
    """Name the training-table column of an objective: 0, 1, or null while unknown or not yet mature."""
    return f"label_{objective}"


def reserved_names(objectives: Iterable[str]) -> frozenset[str]:
    """Return names that the training table uses itself, in small letters: to Spark `Date` and `date` are one column."""
    return RESERVED.union(label_column(objective).lower() for objective in objectives)
