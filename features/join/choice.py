"""Choice of the way to join an entity, a pure function of counts, so that each case can be tested without Spark."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import ceil
from typing import Literal

from camoe.contracts.sources import Entity

Strategy = Literal["broadcast", "intervals", "union"]
# A key is named by its hash.
Key = int


@dataclass(frozen=True)
class Limits:
    """Limits at which one strategy gives way to another.

    `broadcast_bytes`: the most that a table sent to every executor may take, copies by bracket included.
    `versions_a_key`: up to this mean, each impression is compared with all versions of its key.
    `versions_a_bracket`, `impressions_a_bracket`: the size at which the brackets of a cut key aim.
    `brackets`: the most brackets over all keys that are cut.
    `densest`: the most versions that one bracket may hold, in multiples of `versions_a_bracket`, before versions are no
    longer compared one by one. `hot_share`: share of all impressions or versions from which on a key is cut, if it has
    at least `hot_rows` of them. `hot_pairs`: impressions times versions of a key, above which it is cut too.
    `hot_keys`: the most keys cut. `sampled`: one impression in this many, and of a large table one row, is looked at to
    find the keys of many; of such a table one key in this many is counted.
    """

    broadcast_bytes: int = 64 << 20
    versions_a_key: float = 64
    versions_a_bracket: int = 32
    impressions_a_bracket: int = 10_000
    brackets: int = 100_000
    densest: int = 16
    hot_share: float = 0.01
    hot_rows: int = 10_000
    hot_pairs: int = 100_000_000
    hot_keys: int = 1_000
    sampled: int = 256


@dataclass(frozen=True)
class Brackets:
    """Time from `first` on, cut into `count` stretches of `width` microseconds.

    The times before and after these have a bracket each. With a `count` of 1 nothing is cut: all times are bracket 0.
    """

    first: int = 0
    width: int = 1
    count: int = 1

    @property
    def end(self) -> int:
        """First microsecond after the last bracket."""
        return self.first + self.width * self.count

    @classmethod
    def over(cls, first: int, last: int, count: int) -> Brackets:
        """Return at most `count` brackets that hold `first` to `last`, both included."""
        span = last - first + 1
        # Whole numbers throughout: a float cannot hold every microsecond.
        width = max(1, -(-span // count))
        return cls(first, width, -(-span // width))


@dataclass(frozen=True)
class TableStatistics:
    """Counts of an entity table: its rows, keys and bytes of a row (at least).

    `inside`: rows within the days; `most_inside`: the most of these of one key. `heavy`: the keys of many rows, or
    asked for, with their rows within the days. `unusable`: rows beside `rows` that can never be joined, because they
    lack a key or a time.
    """

    rows: int
    keys: int
    row_bytes: float
    inside: int
    most_inside: int
    heavy: dict[Key, int] = field(default_factory=dict)
    unusable: int = 0


@dataclass(frozen=True)
class ServedStatistics:
    """Counts of the impressions to join: rows with key and time, their first and last microsecond, keys of many."""

    rows: int
    first: int
    last: int
    heavy: dict[Key, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Statistics:
    """Counts on which a choice rests. `first` and `last`: microseconds that bound the days of the run.

    `served` is None where the table alone decides.
    """

    table: TableStatistics
    first: int
    last: int
    served: ServedStatistics | None = None


@dataclass(frozen=True)
class Choice:
    """Way in which an entity is joined, and the reason.

    `hot`: the keys that are cut into `brackets`; a broadcast cuts all keys. `within`: first and last microsecond of the
    impressions, where they were measured. `rows`: of the table; `unusable`: how many of them have no key or no time
    and so are never joined.
    """

    entity: str
    strategy: Strategy
    reason: str
    brackets: Brackets = Brackets()
    hot: tuple[Key, ...] = ()
    within: tuple[int, int] | None = None
    rows: int = 0
    unusable: int = 0

    def __str__(self) -> str:
        without = f", {self.unusable:,} of {self.rows:,} rows have no key or time" if self.unusable else ""
        return f"{self.entity}: {self.strategy} ({self.reason}){without}"


def fits_broadcast(statistics: Statistics, limits: Limits) -> bool:
    """Return whether the table, copied into brackets, is small enough to be sent to every executor."""
    return _broadcast_bytes(statistics, limits) <= limits.broadcast_bytes


def choose(name: str, statistics: Statistics, entity: Entity, limits: Limits) -> Choice:
    """Choose the strategy for entity `name`: as declared, else the one that its counts promise to be quickest and safe.

    Broadcast while the table is small; intervals while the keys have few versions; else union, which is linear
    whatever the keys hold.
    """
    table = statistics.table
    chosen = _chosen(name, statistics, entity, limits)
    return replace(chosen, rows=table.rows + table.unusable, unusable=table.unusable)


def _chosen(name: str, statistics: Statistics, entity: Entity, limits: Limits) -> Choice:
    if entity.strategy == "broadcast" or (entity.strategy == "auto" and fits_broadcast(statistics, limits)):
        return _broadcast(name, statistics, entity, limits)
    table, served = statistics.table, statistics.served
    within = None if served is None else (served.first, served.last)
    hot = hot_keys(statistics, limits)
    brackets = _hot_brackets(statistics, hot, entity, limits)
    cut = f", {len(hot)} hot key{'s'[: len(hot) != 1]} in {brackets.count:,} brackets" if hot else ""
    others = table.inside - sum(table.heavy.get(key, 0) for key in hot)
    mean = others / max(1, table.keys)
    few = f"{mean:.1f} versions a key"
    if "ts" not in entity.columns:
        return Choice(name, "intervals", f"{table.rows:,} rows, one a key{cut}", brackets, hot, within)
    if entity.strategy != "auto":
        return Choice(name, entity.strategy, f"as declared{cut}", brackets, hot, within)
    if served is not None and len(hot) >= limits.hot_keys:
        return Choice(name, "union", f"{len(hot):,} or more hot keys", brackets, hot, within)
    if mean > limits.versions_a_key:
        return Choice(name, "union", f"{few}, more than {limits.versions_a_key:g}{cut}", brackets, hot, within)
    return Choice(name, "intervals", f"{few}{cut}", brackets, hot, within)


def settle(choice: Choice, densest: int, entity: Entity, limits: Limits) -> Choice:
    """Return the choice, given that one bracket holds `densest` versions: union where intervals would be slow."""
    most = limits.densest * limits.versions_a_bracket
    if choice.strategy != "intervals" or entity.strategy == "intervals" or densest <= most:
        return choice
    reason = f"a hot key has {densest:,} versions in one of {choice.brackets.count:,} brackets"
    return replace(choice, strategy="union", reason=reason)


def hot_keys(statistics: Statistics, limits: Limits) -> tuple[Key, ...]:
    """Return the keys with so large a share of the impressions or versions that one task should not get them all."""
    table, served = statistics.table, statistics.served
    if served is None:
        return ()
    shares = ((served.heavy, served.rows), (table.heavy, table.inside))
    large = {
        key
        for heavy, rows in shares
        for key, count in heavy.items()
        if count >= max(limits.hot_rows, limits.hot_share * rows)
    }
    for key in served.heavy.keys() & table.heavy.keys():
        if served.heavy[key] * table.heavy[key] > limits.hot_pairs:
            large.add(key)
    weight = {key: served.heavy.get(key, 0) + table.heavy.get(key, 0) for key in large}
    return tuple(sorted(large, key=lambda key: (-weight[key], key))[: limits.hot_keys])


def _broadcast(name: str, statistics: Statistics, entity: Entity, limits: Limits) -> Choice:
    table = statistics.table
    size = _broadcast_bytes(statistics, limits)
    why = f"{table.rows:,} rows, about {size / (1 << 20):.1f} MiB" if entity.strategy == "auto" else "as declared"
    if "ts" not in entity.columns:
        return Choice(name, "broadcast", why)
    count = _broadcast_brackets(statistics, limits)
    brackets = Brackets() if count == 1 else Brackets.over(statistics.first, statistics.last, count)
    cut = f" in brackets of {brackets.width / 3.6e9:.3g} h" if brackets.count > 1 else ""
    return Choice(name, "broadcast", f"{why}{cut}", brackets)


def _broadcast_bytes(statistics: Statistics, limits: Limits) -> float:
    table = statistics.table
    copies = table.keys * (_broadcast_brackets(statistics, limits) + 1)
    return (table.rows + copies) * table.row_bytes


def _broadcast_brackets(statistics: Statistics, limits: Limits) -> int:
    wanted = ceil(statistics.table.most_inside / limits.versions_a_bracket)
    return min(max(1, wanted), limits.brackets)


def _hot_brackets(statistics: Statistics, hot: tuple[Key, ...], entity: Entity, limits: Limits) -> Brackets:
    table, served = statistics.table, statistics.served
    if served is None or not hot:
        return Brackets()
    wanted = max(
        max(
            ceil(served.heavy.get(key, 0) / limits.impressions_a_bracket),
            ceil(table.heavy.get(key, 0) / limits.versions_a_bracket),
        )
        for key in hot
    )
    count = min(max(2, wanted), max(2, limits.brackets // len(hot)))
    # Without versions there is no time to cut: impressions are dealt out by their id.
    return Brackets.over(served.first, served.last, count) if "ts" in entity.columns else Brackets(0, 1, count)
