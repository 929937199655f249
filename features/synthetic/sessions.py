"""Sessions and their impressions: listener and time, focus and context, and the slot in which an ad is shown."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from features.synthetic.clock import DAY_S, Clock, later
from features.synthetic.config import LakeConfig
from features.synthetic.draws import Draws, pick
from features.synthetic.scene import FOCUS_STATES, Focus
from features.synthetic.users import market_of

SHORTEST_GAP_S = 120.0
GAP_SPREAD_S = 240.0
RESTED_S = 86_400.0
# A context begins this long before its first impression, and is known at most CONTEXT_KNOWN_S after it began.
CONTEXT_LEAD_S = 20.0
CONTEXT_KNOWN_S = 15.0
LATE_CONTEXT_S = 3600.0
CONTEXT_COLUMNS = ("session_id", "ts", "available_at", "focus", "content", "device", "connection", "genre")


@dataclass(frozen=True)
class Span:
    """Sessions with ids from `first_session` on, which begin on the `days` days from number `first_day` on."""

    first_session: int
    sessions: int
    first_id: int
    ids: int
    first_day: int
    days: int


def log_span(config: LakeConfig) -> Span:
    """Return the sessions of the lake's impressions, which have the ids 0 to `config.impressions` - 1."""
    return Span(0, _sessions_of(config.impressions, config), 0, config.impressions, 0, config.days)


def request_span(config: LakeConfig) -> Span:
    """Return the sessions of the market's requests: those after the log's, on the lake's last days.

    Raises:
        ValueError: the lake has no market.
    """
    if config.market is None:
        raise ValueError("the lake's configuration has no market")
    first, lengths = _sessions_of(config.impressions, config), config.traffic.session_lengths
    requests, days = config.market.requests, config.market.days
    first_id = first // len(lengths) * sum(lengths)
    return Span(first, _sessions_of(requests, config), first_id, requests, config.days - days, days)


def _sessions_of(impressions: int, config: LakeConfig) -> int:
    lengths = config.traffic.session_lengths
    return -(-impressions // sum(lengths)) * len(lengths)


def impressions(sessions: DataFrame, config: LakeConfig, span: Span | None = None) -> DataFrame:
    """Return the impressions of each `session_id` of `span` (default: the log's).

    Adds user_id, ts, `rest_s` since the session's last ad (`RESTED_S` before its first), `_position` in the session and
    `_segment`, the position at which its context began.
    """
    span = span or log_span(config)
    exploded = _sessions(sessions, config, span).withColumn(
        "_position", F.explode(F.sequence(F.lit(0), F.col("_length") - 1))
    )
    draws = Draws(config.seed)

    def begins(position: Column) -> Column:
        return (position == 0) | (draws.uniform("change", "session_id", position) < config.traffic.focus_change)

    def after_gaps(position: Column) -> Column:
        return F.col("_gap") * (position + draws.uniform("jitter", "session_id", position) * 0.5)

    shown, position = after_gaps(F.col("_position")), F.col("_position")
    rest = F.when(position == 0, F.lit(RESTED_S)).otherwise(shown - after_gaps(position - 1))
    return (
        exploded.withColumn("impression_id", F.col("_first") + F.col("_position"))
        .where(F.col("impression_id") < span.first_id + span.ids)
        .withColumns(
            {
                "_segment": F.array_max(F.filter(F.sequence(F.lit(0), F.col("_position")), begins)),
                "ts": later(F.col("_start"), shown),
                "rest_s": rest,
            }
        )
    )


def with_context(frame: DataFrame, config: LakeConfig) -> DataFrame:
    """Add the state of the segment (focus, content, device, connection), and the slot of the impression.

    The share of impressions in focus follows the hour and averages to the placements' share; content and slot are
    drawn in proportion to the placements' shares among those that are left.
    """
    draws, traffic = Draws(config.seed), config.traffic
    segment = ("session_id", "_segment")
    in_focus = draws.uniform("focus", *segment) < _in_focus(config)
    contents = {focus: _contents(config, focus) for focus in FOCUS_STATES}
    return (
        frame.withColumn("focus", F.when(in_focus, F.lit("in")).otherwise(F.lit("out")))
        .withColumns(
            {
                "content": _by_focus({f: draws.choice(contents[f], "content", *segment) for f in FOCUS_STATES}),
                "device": _by_focus({f: draws.choice(traffic.devices[f], "device", *segment) for f in FOCUS_STATES}),
                "connection": draws.choice(traffic.connections, "connection", *segment),
                "pod_position": draws.choice(traffic.pod_positions, "pod position", "impression_id").cast("int"),
            }
        )
        .withColumn("slot", _slot(config))
    )


def with_genre(frame: DataFrame, config: LakeConfig) -> DataFrame:
    """Add the genre that the segment plays: the user's favourite, or any."""
    draws = Draws(config.seed)
    any_genre = draws.choice(config.population.genres, "genre", "session_id", "_segment")
    own = draws.uniform("own genre", "session_id", "_segment") < config.traffic.own_genre
    return frame.withColumn("genre", F.when(own, F.col("favourite_genre")).otherwise(any_genre))


def context_log(frame: DataFrame, config: LakeConfig) -> DataFrame:
    """Return one row a segment of each session, from the impressions that begin one."""
    draws = Draws(config.seed)
    key = ("session_id", "_segment")
    begun = later(F.col("_start"), F.col("_gap") * F.col("_segment") - CONTEXT_LEAD_S)
    late = draws.uniform("late context", *key) < config.faults.late_contexts
    delay = draws.uniform("context known", *key) * CONTEXT_KNOWN_S + F.when(late, LATE_CONTEXT_S).otherwise(0.0)
    firsts = frame.where(F.col("_position") == F.col("_segment")).withColumn("ts", begun)
    return firsts.withColumn("available_at", later(F.col("ts"), delay)).select(*CONTEXT_COLUMNS)


def _sessions(sessions: DataFrame, config: LakeConfig, span: Span) -> DataFrame:
    """Add user, length, first impression id, start and gap between impressions; a session ends on its own day."""
    draws, lengths = Draws(config.seed), config.traffic.session_lengths
    turn = F.pmod("session_id", F.lit(len(lengths))).cast("int") + 1
    block = F.floor(F.col("session_id") / len(lengths))
    offsets = (0, *accumulate(lengths))
    hours = {str(hour): weight for hour, weight in enumerate(config.traffic.hours)}
    gap = SHORTEST_GAP_S + GAP_SPREAD_S * draws.uniform("gap", "session_id")
    rank = F.pow(draws.uniform("user", "session_id"), F.lit(config.traffic.user_skew))
    wanted = F.col("_hour") * 3600 + draws.uniform("second", "session_id") * 3600
    latest = DAY_S - F.col("_gap") * F.col("_length") - 1
    day = draws.index(F.lit(span.days), "day", "session_id") + span.first_day
    clock = Clock(config.first_day, config.days, config.zone)
    timed = sessions.withColumns(
        {
            "user_id": F.floor(rank * config.users),
            "_length": F.element_at(F.array(*[F.lit(length) for length in lengths]), turn),
            "_first": block * sum(lengths) + F.element_at(F.array(*[F.lit(offset) for offset in offsets]), turn),
            "_hour": draws.choice(hours, "hour", "session_id").cast("int"),
            "_gap": gap,
        }
    )
    shifted = timed.withColumn("_hour", _shifted(config))
    return shifted.withColumn("_start", clock.moment(day * DAY_S + F.least(wanted, F.greatest(latest, F.lit(0.0)))))


def _shifted(config: LakeConfig) -> Column:
    """Return the hour of the lake's clock at which it is `_hour` in the user's market."""
    shifts = {} if config.market is None else config.market.shifts
    if not shifts:
        return F.col("_hour")
    market = market_of(config)
    later_by = F.coalesce(*[F.when(market == name, F.lit(hours)) for name, hours in shifts.items()], F.lit(0))
    return F.pmod(F.col("_hour") + later_by, F.lit(24)).cast("int")


def _in_focus(config: LakeConfig) -> Column:
    """Return the chance that the screen is in view at `_hour`."""
    hours, relative = config.traffic.hours, config.traffic.focus_by_hour
    mean = sum(w * r for w, r in zip(hours, relative, strict=True)) / sum(hours)
    share = config.placements.focus_share("in")
    chances = [F.lit(min(1.0, share * value / mean)) for value in relative]
    return F.element_at(F.array(*chances), F.col("_hour") + 1)


def _contents(config: LakeConfig, focus: Focus) -> dict[str, float]:
    shares: dict[str, float] = {}
    for slot in config.placements.slots:
        if slot.focus == focus:
            shares[slot.content] = shares.get(slot.content, 0.0) + slot.share
    return shares


def _slot(config: LakeConfig) -> Column:
    uniform = Draws(config.seed).uniform("slot", "impression_id")
    picked = []
    for focus in FOCUS_STATES:
        for content in _contents(config, focus):
            fitting = [s for s in config.placements.slots if s.focus == focus and s.content == content]
            here = (F.col("focus") == focus) & (F.col("content") == content)
            picked.append(F.when(here, pick({s.slot: s.share for s in fitting}, uniform)))
    return F.coalesce(*picked)


def _by_focus(choices: dict[Focus, Column]) -> Column:
    return F.when(F.col("focus") == "in", choices["in"]).otherwise(choices["out"])
