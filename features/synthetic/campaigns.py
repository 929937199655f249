"""Campaigns: targeting, flight, versions of bid and creative, and those that an impression may show."""

from __future__ import annotations

from collections.abc import Callable

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.synthetic.clock import DAY_S, Clock, later
from features.synthetic.config import LakeConfig
from features.synthetic.draws import Draws, exponential

COLUMNS = (
    "campaign_id",
    "ts",
    "available_at",
    "advertiser_id",
    "campaign_objective",
    "vertical",
    "creative",
    "target_markets",
    "target_ages",
    "bid",
    "flight_start",
    "flight_end",
)
CAMPAIGNS_PER_ADVERTISER = 3
MEAN_BID = 5.0
SHORTEST_FLIGHT_DAYS = 3
CORRECTION_DELAY_S = DAY_S


def campaigns(frame: DataFrame, config: LakeConfig) -> DataFrame:
    """Add to `campaign_id` all that stays the same, with days `_from` to `_to` of the flight (both included).

    Null targets mean everyone. The first campaigns are always on and untargeted, so each impression has a campaign.
    """
    draws, population = Draws(config.seed), config.population
    clock = Clock(config.first_day, config.days, config.zone)
    always = F.col("campaign_id") < max(1, round(population.always_on * config.campaigns))
    start = F.when(always, F.lit(0)).otherwise(draws.index(F.lit(config.days), "flight start", "campaign_id"))
    longest = F.lit(max(1, config.days - SHORTEST_FLIGHT_DAYS + 1))
    length = draws.index(longest, "flight length", "campaign_id") + SHORTEST_FLIGHT_DAYS
    last = F.lit(config.days - 1)
    end = F.when(always, last).otherwise(F.least(start + length - 1, last))
    return frame.withColumns(
        {
            "advertiser_id": F.floor(F.col("campaign_id") / CAMPAIGNS_PER_ADVERTISER),
            "campaign_objective": draws.choice(population.campaign_objectives, "campaign objective", "campaign_id"),
            "vertical": draws.choice(population.verticals, "vertical", "campaign_id"),
            "target_markets": _targets(config, always, tuple(population.markets), "target markets"),
            "target_ages": _targets(config, always, tuple(population.age_bands), "target ages"),
            "_from": start,
            "_to": end,
            "flight_start": clock.moment(start * DAY_S),
            "flight_end": clock.moment((end + 1) * DAY_S),
            "_turn": clock.moment((start + end + 1) * (DAY_S / 2)),
        }
    )


def campaign_log(fixed: DataFrame, config: LakeConfig) -> DataFrame:
    """Return one row a version and correction of each campaign; a corrected version is first wrong in its bid."""
    draws = Draws(config.seed)
    versions = fixed.withColumn("_version", F.explode(F.filter(F.sequence(F.lit(0), F.lit(1)), _reached(config))))
    begun = later(F.col("flight_start"), F.lit(-float(DAY_S)) - DAY_S * draws.uniform("booked", "campaign_id"))
    ts = F.when(F.col("_version") == 0, begun).otherwise(F.col("_turn"))
    corrected = draws.uniform("campaign corrected", "campaign_id", "_version") < config.faults.late_corrections
    revisions = F.when(corrected, F.array(F.lit(1), F.lit(2))).otherwise(F.array(F.lit(0)))
    delay = draws.uniform("campaign known", "campaign_id", "_version") * F.when(
        F.col("_revision") == 2, F.lit(float(CORRECTION_DELAY_S))
    ).otherwise(F.lit(30.0))
    bid = bid_of(config, F.col("_version"))
    return (
        versions.withColumn("ts", ts)
        .withColumn("_revision", F.explode(revisions))
        .withColumns(
            {
                "available_at": later(F.col("ts"), delay),
                "creative": _creative(config, F.col("_version")),
                # A bid entered in cents instead of the currency's unit.
                "bid": F.round(F.when(F.col("_revision") == 1, bid * 100).otherwise(bid), 2),
            }
        )
        .select(*COLUMNS)
    )


def with_campaign(frame: DataFrame, fixed: DataFrame, config: LakeConfig) -> DataFrame:
    """Add an eligible campaign to each impression and what is true of it at `ts`: vertical, objective, creative.

    Eligible: the local day lies in the flight, market and age band in the targets. The lists of eligible campaigns
    are small (days · markets · age bands) and broadcast, so the impressions are not shuffled.
    """
    draws = Draws(config.seed)
    clock = Clock(config.first_day, config.days, config.zone)
    rank = F.floor(draws.uniform("campaign", "impression_id") * F.size("_eligible")).cast("int")
    chosen = (
        frame.withColumn("_day", clock.day(F.col("ts")))
        .join(F.broadcast(eligible(fixed, config)), on=["_day", "market", "age_band"], how="left")
        .withColumn("campaign_id", F.element_at("_eligible", rank + 1))
        .drop("_eligible", "_day")
    )
    return versioned(chosen, fixed, config)


def versioned(shown: DataFrame, fixed: DataFrame, config: LakeConfig) -> DataFrame:
    """Add what is true of `campaign_id` at `ts`: vertical, objective, creative."""
    known = fixed.select(
        "campaign_id", "campaign_objective", "vertical", "_turn", _reached(config)(F.lit(1)).alias("_turns")
    )
    version = F.when(F.col("_turns") & (F.col("_turn") <= F.col("ts")), F.lit(1)).otherwise(F.lit(0))
    return (
        shown.join(F.broadcast(known), on="campaign_id", how="left")
        .withColumn("creative", _creative(config, version))
        .drop("_turn", "_turns")
    )


def bid_of(config: LakeConfig, version: Column) -> Column:
    """Return the bid of a campaign's version."""
    return exponential(Draws(config.seed).uniform("bid", F.col("campaign_id"), version), MEAN_BID) + 1


def eligible(fixed: DataFrame, config: LakeConfig, *told: str) -> DataFrame:
    """Return one row a (day, market, age band): the ids of the campaigns that may be shown, in order.

    With columns that are to be `told` of them, each is a struct of its `campaign_id` and those.
    """
    entry = F.struct("campaign_id", *told) if told else F.col("campaign_id")
    everyone = {"market": config.population.markets, "age_band": config.population.age_bands}
    targets = {"market": "target_markets", "age_band": "target_ages"}
    spread = fixed.withColumn("_day", F.explode(F.sequence("_from", "_to")))
    for name, weights in everyone.items():
        all_values = F.array(*[F.lit(value) for value in weights])
        spread = spread.withColumn(name, F.explode(F.coalesce(F.col(targets[name]), all_values)))
    grouped = spread.groupBy(F.col("_day").cast("int").alias("_day"), *everyone)
    return grouped.agg(F.sort_array(F.collect_list(entry)).alias("_eligible"))


def _targets(config: LakeConfig, always: Column, values: tuple[str, ...], purpose: str) -> Column:
    """Return two neighbouring values for the targeted share of the campaigns, null for the others."""
    draws = Draws(config.seed)
    targeted = ~always & (draws.uniform(f"{purpose} set", "campaign_id") < config.population.targeted)
    first = draws.index(F.lit(max(1, len(values) - 1)), purpose, "campaign_id").cast("int") + 1
    return F.when(targeted, F.slice(F.array(*[F.lit(value) for value in values]), first, F.lit(2)))


def _reached(config: LakeConfig) -> Callable[[Column], Column]:
    """Return whether a campaign reached that version: all reach 0, a share reaches 1."""
    turns = Draws(config.seed).uniform("campaign turns", "campaign_id") < config.population.campaign_changes
    return lambda version: (version == 0) | turns


def _creative(config: LakeConfig, version: Column) -> Column:
    return Draws(config.seed).choice(config.population.creatives, "creative", F.col("campaign_id"), version)
