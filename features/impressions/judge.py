"""Judgement of raw impressions, which gives each one disposition: excluded, duplicate, quarantined or kept."""

from __future__ import annotations

from datetime import timedelta

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.schema import label_column
from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.sources import Objective, Sources
from features.impressions.checks import INVALID_LABEL, REASONS, check
from features.impressions.duplicates import CONFLICT, DUPLICATE, mark_duplicates, payload_columns
from features.impressions.exclusions import EXCLUDED, OUTSIDE_DAYS, exclude
from features.impressions.labels import label, label_as_of, logged_objectives, mature, settled_column
from features.read.damage import DAMAGE
from features.read.raw import FOLDER_DAY, RAW, RAW_HASH
from features.read.weights import WEIGHT
from features.read.window import DayWindow

# Reasons that a row has because of other rows; the first of a row that has none of its own.
FOUND_LATE = (CONFLICT, INVALID_LABEL)


def judged_impressions(
    impressions: DataFrame, outcomes: DataFrame | None, sources: Sources, slots: SlotCatalogue, window: DayWindow
) -> DataFrame:
    """Add to the impressions of `read_impressions` their labels, `local_ts`, `date` and what decides a disposition.

    `_excluded`: name of the exclusion, or null. `_duplicate`: true for a repeat of a row that is kept, or would be kept
    if its day were one of the run's. `_reasons`: why it is quarantined, empty when it is not. `_raw`: the raw row as
    JSON where there are reasons that lie in the row itself; `with_raw` finds the others by `_raw_hash`. A label is null
    until the window of its objective has closed by the time as of which its day is labelled; `_settled_<objective>` is
    what was known of it when it matured. Rows in the folders of other days than the run's are compared for repeats and
    left out.

    Raises:
        InputError, ConfigError: an exclusion or the payload names what is not mapped.
    """
    log = sources.impressions
    payload = payload_columns(log)
    checked = check(impressions, slots, log.labels)
    own = F.col(EXCLUDED).isNull()
    # Raw rows, which may be wide, are not shuffled and sorted but for the few that are refused already.
    raw = {RAW: F.when(own & (F.size(REASONS) > 0), F.col(RAW)), RAW_HASH: F.when(own, F.xxhash64(RAW))}
    timed = exclude(checked, log.exclude, window).withColumns(raw).drop(DAMAGE)
    # Earlier days are compared all the same: the disposition of a row must not rest on the days that are built with it.
    # Rows without an id would all meet in one task; those without a time are of no day and quarantined anyway.
    earlier = (F.col(EXCLUDED) == OUTSIDE_DAYS) & (F.col("date") < F.lit(max(window.days)))
    if log.reach_days is not None:
        earlier = earlier & (F.col("date") >= F.lit(min(window.days) - timedelta(days=log.reach_days)))
    compared = F.col("impression_id").isNotNull() & F.col("date").isNotNull() & (own | earlier)
    mine = F.coalesce(F.col(FOLDER_DAY).isin(list(window.days)), F.lit(True))
    judged = mark_duplicates(timed.where(compared), payload, log.survivor, log.reach_days).where(mine)
    if outcomes is not None:
        judged = label(judged, outcomes, logged_objectives(sources), window)
    judged = judged.withColumns({settled_column(name): F.col(label_column(name)) for name in log.labels})
    judged = judged.withColumns(_once_mature(sources, window))
    set_apart = timed.where(~compared & mine).withColumn(DUPLICATE, F.lit(False))
    both = judged.unionByName(set_apart, allowMissingColumns=True).drop(FOLDER_DAY, WEIGHT)
    return both.withColumn(RAW_HASH, F.when(F.size(REASONS) > 0, F.col(RAW_HASH)))


def with_raw(refused: DataFrame, impressions: DataFrame) -> DataFrame:
    """Return the `refused` rows of `judged_impressions`, each with its `_raw`; the `impressions` are read again.

    A query fails when it computes the `_raw` of a row that is no longer there.
    """
    keys = ["impression_id", RAW_HASH]
    late = refused.where(F.col(RAW).isNull()).select("impression_id").distinct()
    rows = impressions.join(late, on="impression_id", how="left_semi")
    found = rows.select("impression_id", F.xxhash64(RAW).alias(RAW_HASH), F.col(RAW).alias("_found"))
    found = found.dropDuplicates(keys)
    gone = F.raise_error(F.lit("the impressions changed while they were read; run again"))
    return refused.join(found, on=keys, how="left").withColumn(RAW, F.coalesce(RAW, "_found", gone)).drop("_found")


def _once_mature(sources: Sources, window: DayWindow) -> dict[str, Column]:
    """Return the labels that the log itself carries, null until the window of their objective has closed."""
    columns = {label_column(name): sources.objectives.get(name, Objective()) for name in sources.impressions.labels}
    return {name: F.when(mature(objective, label_as_of(window)), F.col(name)) for name, objective in columns.items()}
