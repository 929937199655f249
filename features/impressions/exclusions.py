"""Exclusion of impressions, as declared and by the run's days, and the local day that this needs."""

from __future__ import annotations

from collections.abc import Sequence

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts.sources import Exclusion
from features.impressions.checks import REASONS
from features.read.damage import DAMAGE
from features.read.raw import FOLDER_DAY, RAW
from features.read.weights import WEIGHT
from features.read.window import DayWindow
from features.spark.expressions import resolve

EXCLUDED = "_excluded"
OUTSIDE_DAYS = "outside_days"
AFTER_AS_OF = "after_as_of"
OTHER_FOLDER = "other_folder"
# Exclusions that no configuration declares: they follow from the run's days and as-of time.
OF_THE_RUN = frozenset((OUTSIDE_DAYS, AFTER_AS_OF, OTHER_FOLDER))


def exclude(impressions: DataFrame, exclusions: Sequence[Exclusion], window: DayWindow) -> DataFrame:
    """Add `local_ts` (event time in the declared zone), `date` (its day) and `_excluded` (a name, null: kept).

    The first exclusion whose predicate is true counts; a predicate that is null excludes nothing. A row in the folder
    of another day is excluded as other_folder, else a row of none of the run's days as outside_days, and one after
    the as-of time as after_as_of.

    Raises:
        InputError: a predicate does not parse or names a column that the impressions do not map.
    """
    local = F.from_utc_timestamp("ts", window.zone)
    timed = impressions.withColumns({"local_ts": local, "date": local.cast("date")})
    mapped = timed.drop(REASONS, RAW, FOLDER_DAY, DAMAGE, WEIGHT)
    predicates = resolve(mapped, {item.name: item.where for item in exclusions}, "the exclusions of the impressions")
    named = [F.when(predicate, F.lit(name)) for name, predicate in predicates.items()]
    # Whatever the run's days: a run that reads both folders would keep the row, and runs of each would lose it.
    elsewhere = F.when(F.col("date") != F.col(FOLDER_DAY), F.lit(OTHER_FOLDER))
    outside = F.when(~F.col("date").isin(list(window.days)), F.lit(OUTSIDE_DAYS))
    later = F.when(F.col("ts") > F.lit(window.as_of), F.lit(AFTER_AS_OF))
    # Nothing that could exclude a row is known of one that could not be read right.
    return timed.withColumn(EXCLUDED, F.when(F.col(DAMAGE).isNull(), F.coalesce(*named, elsewhere, outside, later)))
