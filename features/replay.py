"""A log as a market: its impressions ask again, for ads whose campaigns, bids and budgets are made up."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce
from math import pi

from pydantic import Field
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.config_file import Section
from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.places.counts import require_equal
from features.impressions.tally import kept_rows
from features.inputs import judged_days
from features.plan import Plan
from features.read.files import impression_days, impression_paths, input_versions, pinned
from features.read.parts import read_parts
from features.spark.expressions import columns_read
from features.spark.values import quoted
from features.synthetic.draws import Draws
from features.synthetic.scene import Weights

MARKET = "log"
MICROS = 1_000_000
RAW = "_raw_"
REQUEST_COLUMNS = ("request_id", "user_id", "ts", "day", "second", "market", "slot", "queue", "places")


class Replay(Section):
    """Campaigns that bid for the requests of a log. All is drawn by hashes; money is in a currency of no one's."""

    campaigns: int = Field(default=200, ge=1)
    """Campaigns that bid: those that the days show most."""
    candidates: int = Field(default=10, ge=1, le=200)
    """Candidates of a request, drawn from them; a campaign that is drawn twice is a candidate once."""
    bid: float = Field(default=0.2, gt=0)
    """Mean bid for a click."""
    bid_spread: float = Field(default=0.5, ge=0)
    """Standard deviation of the logarithm of bids."""
    budget: float = Field(default=0.03, gt=0)
    """Money a request of all campaigns together."""
    budget_spread: float = Field(default=1.0, ge=0)
    """Standard deviation of the logarithm of campaigns' budgets of a day."""
    caps: Weights = Field(default={"0": 1.0})
    """Weights of the caps of campaigns on the impressions of a user a day; 0 is none."""
    seed: int = 1
    """Seed of all draws."""


def replayed(spark: SparkSession, plan: Plan, chosen: Replay) -> Mapping[str, DataFrame]:
    """Return the tables `requests`, `campaigns` and `candidates` of the impressions that the plan's days keep.

    A candidate has the raw columns of its request's impression that the mapping reads, with another campaign in them,
    so jobs/score.py --input reads it by the same mapping. Outcomes decide which impressions a build would keep, and are
    in none of the tables.

    Raises:
        InputError: as a build does; the days keep no impression; a campaign is not one raw column.
        ConfigError: columns are hashed, which candidates would hold as they are.
        CountError: not each impression was found again.
    """
    if plan.sources.keyed_hash is not None:
        raise ConfigError("candidates hold raw columns, and sources.keyed_hash hides some of them; replay another log")
    versions = input_versions(spark, plan.folder, plan.sources, plan.window)
    asked = _asked(kept_rows(judged_days(spark, plan, versions)[1]), plan).persist()
    raw, campaign = _raw(spark, plan, versions)
    both = asked.join(raw, on="_name").persist()
    count = asked.count()
    if not count:
        raise InputError("the days have no impression to replay; choose others by --days")
    found = both.agg(F.count("*"), F.countDistinct("request_id")).collect()[0]
    require_equal("impressions against those found again", count, found[0])
    require_equal("impressions against requests by name", count, found[1])
    ad = F.col(quoted(RAW + campaign)).alias("_ad")
    pool = both.groupBy("campaign_id", ad).count().orderBy(F.desc("count"), "campaign_id").limit(chosen.campaigns)
    return {
        "requests": asked.select(*REQUEST_COLUMNS),
        "campaigns": _campaigns(pool.select("campaign_id"), count, len(plan.window.days), chosen),
        "candidates": _candidates(both, pool.select("campaign_id", "_ad"), campaign, chosen),
    }


def _asked(kept: DataFrame, plan: Plan) -> DataFrame:
    """Return kept impressions as requests for one place, in the queue of their slot's modality."""
    queues = [F.when(F.col("slot") == slot.id, F.lit(slot.modality)) for slot in plan.slots.slots]
    seconds = F.hour("local_ts") * 3600 + F.minute("local_ts") * 60 + F.second("local_ts")
    return kept.select(
        F.col("impression_id").cast("string").alias("_name"),
        F.xxhash64("impression_id").alias("request_id"),
        "user_id",
        "campaign_id",
        "ts",
        F.datediff("date", F.lit(min(plan.window.days))).alias("day"),
        seconds.cast("int").alias("second"),
        F.lit(MARKET).alias("market"),
        "slot",
        F.coalesce(*queues).alias("queue"),
        F.lit(1).alias("places"),
    )


def _raw(spark: SparkSession, plan: Plan, versions: Mapping[str, str]) -> tuple[DataFrame, str]:
    """Return by `_name` the raw columns that the mapping reads, `RAW` before theirs, and which has the campaign."""
    sources = pinned(plan.sources, versions)
    log = sources.impressions
    paths = impression_paths(spark, plan.folder, sources, plan.window)
    parts = read_parts(spark, "impressions", log, paths, impression_days(log, plan.window))
    columns = sorted(columns_read(parts[0].raw, log.columns))
    of_campaign = sorted(columns_read(parts[0].raw, {"campaign_id": log.columns["campaign_id"]}))
    taken = sorted({"request_id", "rank"} & set(columns))
    if len(of_campaign) != 1 or taken:
        why = f"column {taken[0]} is a candidate's own" if taken else f"the campaign is read from {of_campaign}"
        raise InputError(f"impressions: {why}; a replay puts other campaigns into the one raw column that has it")
    name = F.expr(log.columns["impression_id"]).cast("string").alias("_name")
    values = [F.col(quoted(column)).alias(RAW + column) for column in columns]
    read = [part.frame.select(*values, name) for part in parts]
    # Repeats of an impression are alike in what the mapping reads.
    return reduce(DataFrame.unionByName, read).dropDuplicates(["_name"]), of_campaign[0]


def _candidates(both: DataFrame, pool: DataFrame, campaign: str, chosen: Replay) -> DataFrame:
    """Draw candidates of each request from the `pool`; they are listed in the order of the draws."""
    draws, raw = Draws(chosen.seed), [name for name in both.columns if name.startswith(RAW)]
    ads = pool.agg(F.sort_array(F.collect_list(F.struct("campaign_id", "_ad"))).alias("_pool"))

    def drawn(place: Column) -> Column:
        return F.element_at("_pool", draws.index(F.size("_pool"), "offer", "request_id", place).cast("int") + 1)

    offers = F.array_distinct(F.transform(F.sequence(F.lit(1), F.lit(chosen.candidates)), drawn))
    asked = both.select("request_id", *map(quoted, raw)).crossJoin(F.broadcast(ads))
    offered = asked.select("request_id", *map(quoted, raw), F.posexplode(offers).alias("rank", "_of"))
    columns = {name.removeprefix(RAW): F.col(quoted(name)) for name in raw} | {campaign: F.col("_of")["_ad"]}
    own = {"campaign_id": F.col("_of")["campaign_id"]} | columns
    return offered.select("request_id", "rank", *[value.alias(name) for name, value in own.items()])


def _campaigns(pool: DataFrame, requests: int, days: int, chosen: Replay) -> DataFrame:
    """Return campaigns that bid for clicks on all days, in both queues; budgets in micros."""
    draws = Draws(chosen.seed)
    count = min(chosen.campaigns, pool.count())
    daily = F.round(_spread(draws, "budget", chosen.budget_spread) * (chosen.budget * requests / days / count * MICROS))
    return pool.select(
        "campaign_id",
        F.lit("traffic").alias("campaign_objective"),
        F.lit(True).alias("for_clicks"),
        F.round(_spread(draws, "bid", chosen.bid_spread) * chosen.bid, 6).alias("bid"),
        daily.cast("long").alias("daily"),
        (daily * days).cast("long").alias("total"),
        F.lit(0).alias("first_day"),
        F.lit(days - 1).alias("last_day"),
        draws.choice(chosen.caps, "cap", "campaign_id").cast("int").alias("cap"),
        F.array(F.lit(MARKET)).alias("markets"),
        F.lit("both").alias("format"),
    )


def _spread(draws: Draws, purpose: str, deviation: float) -> Column:
    """Draw from a log-normal distribution of mean 1; Box and Muller's normal draw of two uniform ones."""
    first, second = (draws.uniform(f"{purpose} {part}", "campaign_id") for part in (1, 2))
    normal = F.sqrt(-2 * F.log(1 - first)) * F.cos(F.lit(2 * pi) * second)
    return F.exp(F.lit(deviation) * normal - deviation**2 / 2)
