"""The market side of the lake: ad requests, the campaigns that fit each, their money, and the truth of candidates."""

from __future__ import annotations

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.synthetic.campaigns import bid_of, eligible, versioned
from features.synthetic.clock import DAY_S, Clock
from features.synthetic.config import LakeConfig
from features.synthetic.draws import Draws, pick
from features.synthetic.outcomes import DECIMALS
from features.synthetic.response import Intercepts, true_probability, with_probabilities, with_score
from features.synthetic.scene import FOCUS_STATES, MarketSide
from features.synthetic.sessions import RESTED_S, with_context, with_genre
from features.synthetic.users import with_user_state

TRUTH_KEYS = ("request_id", "campaign_id")
REQUEST_COLUMNS = (
    "request_id",
    "user_id",
    "session_id",
    "ts",
    "day",
    "second",
    "market",
    "focus",
    "slot",
    "queue",
    "places",
)
CANDIDATE_COLUMNS = (
    *TRUTH_KEYS,
    "rank",
    "user_id",
    "session_id",
    "slot",
    "ts",
    "pod_position",
)
MICROS = 1_000_000


def requests(timed: DataFrame, fixed: DataFrame, config: LakeConfig) -> DataFrame:
    """Return a request for each impression that `timed` would have shown: who asks, when and for what.

    `_offers` are campaigns that may be shown: on the day, in the market, to the age, genre and device, in its queue.
    """
    market, draws = _market(config), Draws(config.seed)
    clock = Clock(config.first_day, config.days, config.zone)
    known = with_genre(with_user_state(with_context(timed, config), config), config)
    local = F.unix_timestamp(clock.local(F.col("ts")))
    asked = known.withColumns(
        {
            "slot": _slot(config, market),
            "queue": F.when(F.col("focus") == "in", market.queues["in"]).otherwise(market.queues["out"]),
            "places": draws.choice(market.pods, "pod", "impression_id").cast("int"),
            # The place within the pod is the auction's; predictions and truth are those of the first.
            "pod_position": F.lit(1),
            # Requests are in no log, so that the model knows no more of the session's ads before.
            "rest_s": F.lit(RESTED_S),
            "request_id": F.col("impression_id"),
            "day": clock.day(F.col("ts")),
            "second": F.pmod(local, F.lit(DAY_S)).cast("int"),
        }
    )
    return _with_offers(asked, fixed, config)


def request_log(asked: DataFrame) -> DataFrame:
    """Return the table of requests."""
    return asked.select(*REQUEST_COLUMNS)


def candidates(asked: DataFrame, fixed: DataFrame, config: LakeConfig, shifts: Intercepts) -> DataFrame:
    """Return a row a candidate, listed by `rank`, with the true probability of each objective."""
    offered = asked.select("*", F.posexplode("_offers").alias("rank", "campaign_id")).drop("_offers")
    scored = with_probabilities(with_score(versioned(offered, fixed, config), config), config, shifts)
    truth = {name: F.round(true_probability(name, config), DECIMALS) for name in config.signal.objectives}
    return scored.withColumns(truth).select(*CANDIDATE_COLUMNS, *truth)


def market_campaigns(fixed: DataFrame, config: LakeConfig) -> DataFrame:
    """Return the campaigns as the market knows them; budgets in micros, flight in numbers of days, both included."""
    market, draws = _market(config), Draws(config.seed)
    for_clicks = ~F.col("campaign_objective").isin(list(market.reach))
    spread = draws.uniform("budget 1", "campaign_id"), draws.uniform("budget 2", "campaign_id")
    # Box and Muller's normal draw of two uniform ones.
    normal = F.sqrt(-2 * F.log(1 - spread[0])) * F.cos(F.lit(2 * 3.141592653589793) * spread[1])
    size = F.exp(F.lit(market.budget_spread) * normal - market.budget_spread**2 / 2)
    daily = F.round(size * (market.budget * market.requests / market.days / config.campaigns * MICROS))
    bid = bid_of(config, F.lit(0))
    return _with_targets(fixed, config).select(
        "campaign_id",
        "campaign_objective",
        for_clicks.alias("for_clicks"),
        F.round(F.when(for_clicks, bid).otherwise(bid * market.reach_bid), 6).alias("bid"),
        daily.cast("long").alias("daily"),
        (daily * (F.col("_to") - F.col("_from") + 1)).cast("long").alias("total"),
        F.col("_from").cast("int").alias("first_day"),
        F.col("_to").cast("int").alias("last_day"),
        draws.choice(market.caps, "cap", "campaign_id").cast("int").alias("cap"),
        F.coalesce("target_markets", F.array(*[F.lit(name) for name in config.population.markets])).alias("markets"),
        "format",
    )


def _market(config: LakeConfig) -> MarketSide:
    if config.market is None:
        raise ValueError("the lake's configuration has no market")
    return config.market


def _slot(config: LakeConfig, market: MarketSide) -> Column:
    """Draw a slot of the queue of the request's focus, in proportion to the slots' shares."""
    uniform = Draws(config.seed).uniform("slot", "impression_id")
    choices = []
    for focus in FOCUS_STATES:
        fitting = [s for s in config.placements.slots if (s.focus, s.modality) == (focus, market.queues[focus])]
        choices.append(F.when(F.col("focus") == focus, pick({slot.slot: slot.share for slot in fitting}, uniform)))
    return F.coalesce(*choices)


def _with_targets(fixed: DataFrame, config: LakeConfig) -> DataFrame:
    """Add what the market asks of a request beside its market and the user's age: `_genre`, `_device` and `format`."""
    market, draws = _market(config), Draws(config.seed)
    devices = dict.fromkeys((name for weights in config.traffic.devices.values() for name in weights), 1.0)

    def target(weights: dict[str, float], purpose: str) -> Column:
        chosen = draws.uniform(f"{purpose} set", "campaign_id") < market.targeted
        return F.when(chosen, draws.choice(weights, purpose, "campaign_id"))

    return fixed.withColumns(
        {
            "_genre": target(config.population.genres, "target genre"),
            "_device": target(devices, "target device"),
            "format": draws.choice(market.formats, "format", "campaign_id"),
        }
    )


def _with_offers(asked: DataFrame, fixed: DataFrame, config: LakeConfig) -> DataFrame:
    """Add `_offers`: of the campaigns that fit, as many as the market offers, in the order of a hash."""
    lists = eligible(_with_targets(fixed, config), config, "_genre", "_device", "format")

    seed = F.lit(config.seed).cast("long")

    def fits(one: Column) -> Column:
        genre = one["_genre"].isNull() | (one["_genre"] == F.col("genre"))
        device = one["_device"].isNull() | (one["_device"] == F.col("device"))
        return genre & device & ((one["format"] == "both") | (one["format"] == F.col("queue")))

    def ranked(one: Column) -> Column:
        drawn = F.xxhash64(seed, F.lit("offer"), F.col("request_id"), one["campaign_id"])
        return F.struct(drawn, one["campaign_id"].alias("id"))

    ordered = F.sort_array(F.transform(F.filter("_eligible", fits), ranked))
    first = F.slice(ordered, 1, _market(config).candidates)
    told = asked.withColumn("_day", F.col("day")).join(
        F.broadcast(lists), on=["_day", "market", "age_band"], how="left"
    )
    return told.withColumn("_offers", F.transform(first, lambda one: one["id"])).drop("_eligible", "_day")
