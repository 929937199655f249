"""Users: their state at a moment, and the log of its versions."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.synthetic.clock import DAY_S, Clock, later
from features.synthetic.config import LakeConfig
from features.synthetic.draws import Draws, exponential

VERSIONS = 3
COLUMNS = (
    "user_id",
    "ts",
    "available_at",
    "age_band",
    "market",
    "os",
    "tenure_days",
    "favourite_genre",
    "listening_hours",
)
CORRECTION_DELAY_S = 2 * DAY_S


def with_user_state(frame: DataFrame, config: LakeConfig) -> DataFrame:
    """Add what is true of `user_id` at `ts`: age_band, market, os, tenure_days, favourite_genre, listening_hours."""
    version = F.lit(0)
    for number in range(1, VERSIONS):
        changed = F.coalesce(_change(config, F.lit(number), F.col("user_id")) <= F.col("ts"), F.lit(False))
        version = F.when(changed, F.lit(number)).otherwise(version)
    return frame.withColumn("_version", version).withColumns(_attributes(config, F.lit(0))).drop("_version")


def market_of(config: LakeConfig) -> Column:
    """Return the market of `user_id`."""
    return Draws(config.seed).choice(config.population.markets, "market", "user_id")


def user_log(users: DataFrame, config: LakeConfig) -> DataFrame:
    """Return one row a version and correction of each `user_id`.

    A corrected version is first wrong in favourite genre and hours; its second row has the same ts and the right
    values, and is known later.
    """
    draws = Draws(config.seed)
    versions = (
        users.select("user_id", F.explode(F.sequence(F.lit(0), F.lit(VERSIONS - 1))).alias("_version"))
        .withColumn("ts", _change(config, F.col("_version"), F.col("user_id")))
        .where(F.col("ts").isNotNull())
    )
    corrected = draws.uniform("user corrected", "user_id", "_version") < config.faults.late_corrections
    revisions = F.when(corrected, F.array(F.lit(1), F.lit(2))).otherwise(F.array(F.lit(0)))
    delay = draws.uniform("user known", "user_id", "_version") * F.when(
        F.col("_revision") == 2, F.lit(float(CORRECTION_DELAY_S))
    ).otherwise(F.lit(30.0))
    # Of a corrected version the first revision, 1, is the wrong one.
    wrong = F.when(F.col("_revision") == 1, F.lit(1)).otherwise(F.lit(0))
    return (
        versions.withColumn("_revision", F.explode(revisions))
        .withColumns({"available_at": later(F.col("ts"), delay), **_attributes(config, wrong)})
        .select(*COLUMNS)
    )


def _change(config: LakeConfig, version: Column, user: Column) -> Column:
    """Return when `version` began, null where the user never got there; version 0 in the 30 days before the first."""
    draws = Draws(config.seed)
    moved = draws.uniform("user change", user, version) < config.population.user_changes
    length = F.lit(config.days * DAY_S / (VERSIONS - 1))
    place = draws.uniform("user change time", user, version)
    since = F.when(version == 0, -F.lit(30.0 * DAY_S) * place - 3600).when(moved, length * (version - 1 + place))
    return Clock(config.first_day, config.days, config.zone).moment(since)


def _attributes(config: LakeConfig, wrong: Column) -> dict[str, Column]:
    draws, population = Draws(config.seed), config.population
    changing = (F.col("user_id"), F.col("_version"), wrong)
    tenure = exponential(draws.uniform("tenure", "user_id"), population.mean_tenure_days)
    hours = exponential(draws.uniform("listening hours", *changing), population.mean_listening_hours)
    return {
        "age_band": draws.choice(population.age_bands, "age band", "user_id"),
        "market": market_of(config),
        "os": draws.choice(population.systems, "os", "user_id"),
        "tenure_days": tenure.cast("int"),
        "favourite_genre": draws.choice(population.genres, "favourite genre", *changing),
        "listening_hours": F.round(hours, 2),
    }
