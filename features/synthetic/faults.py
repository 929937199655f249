"""Declared faults, put into clean logs."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.synthetic.clock import later
from features.synthetic.config import LakeConfig
from features.synthetic.draws import Draws, pick
from features.synthetic.outcomes import COLUMNS as OUTCOME_COLUMNS

IMPRESSION_COLUMNS = ("impression_id", "user_id", "session_id", "campaign_id", "slot", "ts", "pod_position")
ID_COLUMNS = ("impression_id", "user_id", "campaign_id")
NO_FAULT = "none"
CONFLICT_S = 37.0
INVALID_VALUE = 7


def impression_log(shown: DataFrame, config: LakeConfig) -> DataFrame:
    """Return the impressions as logged, with the declared duplicates, conflicting ids, null keys and house ads."""
    draws, faults = Draws(config.seed), config.faults
    copies = F.when(F.col("_fault").isin("duplicates", "conflicts"), 2).otherwise(1)
    lost = draws.choice(dict.fromkeys(ID_COLUMNS, 1.0), "lost key", "impression_id")
    logged = shown.withColumn("_fault", impression_fault(config)).withColumns(
        {"_lost": F.when(F.col("_fault") == "null_keys", lost), "_copy": F.explode(F.sequence(F.lit(1), copies))}
    )
    conflicting = (F.col("_fault") == "conflicts") & (F.col("_copy") == 2)
    return logged.withColumns(
        {
            **{key: F.when(~F.col("_lost").eqNullSafe(key), F.col(key)) for key in ID_COLUMNS},
            "slot": F.when(F.col("_fault") == "house_ads", F.lit(faults.house_slot)).otherwise(F.col("slot")),
            "ts": F.when(conflicting, later(F.col("ts"), F.lit(CONFLICT_S))).otherwise(F.col("ts")),
        }
    ).select(*IMPRESSION_COLUMNS)


def faulty_outcomes(clean: DataFrame, config: LakeConfig) -> DataFrame:
    """Return the outcomes as logged, with the declared invalid values, duplicates and orphans.

    An orphan is an extra row whose impression_id lies past the last one.
    """
    copies = F.when(F.col("_fault").isin("duplicate_outcomes", "orphan_outcomes"), 2).otherwise(1)
    orphan = (F.col("_fault") == "orphan_outcomes") & (F.col("_copy") == 2)
    invalid = F.col("_fault") == "invalid_labels"
    return (
        clean.withColumn("_fault", outcome_fault(config))
        .withColumn("_copy", F.explode(F.sequence(F.lit(1), copies)))
        .withColumns(
            {
                "impression_id": F.col("impression_id") + F.when(orphan, config.impressions).otherwise(0),
                "value": F.when(invalid, INVALID_VALUE).otherwise(F.col("value")),
            }
        )
        .select(*OUTCOME_COLUMNS)
    )


def impression_fault(config: LakeConfig) -> Column:
    """Return the name of the fault of an `impression_id`, or none."""
    faults = config.faults
    shares = {name: getattr(faults, name) for name in ("duplicates", "conflicts", "null_keys", "house_ads")}
    return _fault(shares, Draws(config.seed).uniform("impression fault", "impression_id"))


def outcome_fault(config: LakeConfig) -> Column:
    """Return the name of the fault of an outcome (impression_id, objective), or none."""
    faults = config.faults
    shares = {name: getattr(faults, name) for name in ("invalid_labels", "duplicate_outcomes", "orphan_outcomes")}
    return _fault(shares, Draws(config.seed).uniform("outcome fault", "impression_id", "objective"))


def _fault(shares: dict[str, float], uniform: Column) -> Column:
    return pick({**shares, NO_FAULT: max(0.0, 1 - sum(shares.values()))}, uniform)
