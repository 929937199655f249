"""What a run's impressions can know: the days on disk that it can use, and those that it makes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts.days import days_between
from camoe.contracts.runs import EntityState
from features.delta.commit import CommitMetadata
from features.history.blocks import SIZES
from features.history.events import AT, KEY, known_day, probes, row_of, seen_from
from features.history.keys import MICROSECONDS, Layout
from features.history.kinds import STATES, TAILS, Kind, kinds_of
from features.history.lookup import DAYS, Asked, Known, Span, asked_of, lookup, needed
from features.history.records import StoredDay, described, matured, states_of
from features.history.store import EVENTS, HistoryStore, Stored, own_name
from features.history.tails import sequences_before, with_sequences
from features.impressions.labels import settled_column
from features.read.window import DayWindow
from features.spark.progress import job_of, step

SEEN = "_seen"


@dataclass(frozen=True)
class Past:
    """What a run's impressions can know. `made` are the days that the run makes, `days` those and the stored ones.

    `tables` are what the run puts on disk, under the name of `run`.
    """

    store: HistoryStore
    run: CommitMetadata
    span: Span
    asked: Asked
    tables: Mapping[str, DataFrame]
    known: Mapping[Kind, Known]
    made: Mapping[date, StoredDay]
    days: Mapping[date, StoredDay]

    @property
    def layout(self) -> Layout:
        """Layout of what is counted."""
        return self.store.layout

    def entity_states(self) -> dict[str, EntityState]:
        """Return what the run's record keeps of the days."""
        return states_of(self.days, self.layout)

    def write(self) -> None:
        """Put the days that the run made on disk."""
        self.store.write(self.tables, tuple(self.made.values()), self.run)


def usable(stored: Stored, layout: Layout, window: DayWindow) -> tuple[Stored, tuple[date, ...]]:
    """Return what a run of `window` can use of what is stored, and the days that it has to make beside its own."""
    history, span = layout.history, Span.of(window, layout.history.delay_s)
    first = max(history.since, span.first - timedelta(days=history.horizon_days + layout.lag_days))
    wanted = set(days_between(first, span.last)) - set(window.days)
    days = {day: one for day, one in stored.days.items() if day in wanted and one.final}
    blocks = {block: one for block, one in stored.blocks.items() if set(block.sources(layout)) <= days.keys()}
    return replace(stored, days=days, blocks=blocks), tuple(sorted(wanted - days.keys()))


@contextmanager
def opened(
    store: HistoryStore,
    stored: Stored,
    fresh: DataFrame,
    window: DayWindow,
    *,
    owned: tuple[str, ...],
    run: CommitMetadata,
    asking: DataFrame | None = None,
) -> Iterator[Past]:
    """Count the days of which `fresh` are the events: those of `window`, and what `usable` lacks; kept while it runs.

    `owned` are the key sets that rest on the user. `asking` are rows that look back beside the impressions of `window`.
    """
    layout, spark, run = store.layout, fresh.sparkSession, own_name(run)
    there, missing = usable(stored, layout, window)
    span = Span.of(window, layout.history.delay_s)
    with ExitStack() as stack:
        fresh = _settled_by(fresh, window, layout).persist()
        stack.callback(fresh.unpersist)
        final = {day: _is_final(day, window, layout) for day in sorted({*missing, *window.days})}
        with step(spark.sparkContext, f"{job_of(spark.sparkContext)}: reading the history of {len(final)} days"):
            made = described(fresh, final, run.run_id)
        near = [day for day in there.days if day >= span.first - timedelta(days=layout.lag_days)]
        every = _with(fresh, store.read(spark, there, EVENTS, _rows_of(there, near)))
        tables, known = {EVENTS: fresh}, dict[Kind, Known]()
        for kind in kinds_of(layout):
            held = kind.held(_known_by(kind.added(fresh, layout), window), layout, window.zone, owned).persist()
            stack.callback(held.unpersist)
            tables[kind.table(1)] = held
            states = _pieces(store, there, kind, held, span)
            if kind is STATES:
                asked = asked_of(states, layout, span, asking=asking)
            if there.days:
                # What few impressions ask for, of all that is on disk, is read once.
                states = states.join(asked.keys, on=KEY, how="left_semi").persist()
                stack.callback(states.unpersist)
            recent = _known_by(kind.added(every, layout), window).where(known_day(span.zone) >= F.lit(span.first))
            known[kind] = Known(recent, states, there.blocks)
        yield Past(store, run, span, asked, tables, known, made, {**stored.days, **made})


def told(shown: DataFrame, past: Past) -> DataFrame:
    """Add to the impressions what each could know: `_numbers` of its keys, and the sequences from the log."""
    layout, span, asked = past.layout, past.span, past.asked
    found = lookup(probes(shown, layout), past.known[STATES], layout, span, asked)
    rows = _beside(shown.withColumns({"_row": row_of(), SEEN: seen_from(layout)}), found)
    if layout.sequences:
        rows = with_sequences(_beside(rows, sequences_before(shown, past.known[TAILS], layout, span, asked)), layout)
    return rows.drop("_row", SEEN)


def _beside(rows: DataFrame, found: DataFrame) -> DataFrame:
    return rows.join(found.withColumnsRenamed({"row": "_row", AT: SEEN}), on=["_row", SEEN], how="left")


def _pieces(store: HistoryStore, there: Stored, kind: Kind, fresh: DataFrame, span: Span) -> DataFrame:
    """Return what the run makes (`fresh`) and what it needs of what is on disk, each row with its `DAYS`."""
    spark, layout = fresh.sparkSession, store.layout
    read = needed(layout, span, there.blocks)
    sources = {day for block in read if block.days == 1 for day in block.sources(layout)} & there.days.keys()
    pieces = _with(fresh, store.read(spark, there, kind.table(1), _rows_of(there, sources))).withColumn(DAYS, F.lit(1))
    for size in SIZES:
        wanted = {
            (block.first, one.run_id) for block, one in there.blocks.items() if block.days == size and block in read
        }
        blocks = store.read(spark, there, kind.table(size), wanted)
        pieces = _with(pieces, None if blocks is None else blocks.withColumn(DAYS, F.lit(size)))
    return pieces


def _rows_of(stored: Stored, days: Collection[date]) -> set[tuple[date, str]]:
    return {(day, stored.days[day].run_id) for day in days}


def _is_final(day: date, window: DayWindow, layout: Layout) -> bool:
    return window.as_of.astimezone(UTC) >= matured(day, window.zone, layout)


def _settled_by(rows: DataFrame, window: DayWindow, layout: Layout) -> DataFrame:
    """Return the events with the labels that had matured by the as-of time, and without days before `since`."""
    last = F.unix_micros(F.lit(window.as_of))
    cut = {
        settled_column(name): F.when(
            F.col(AT) + layout.lags_s[name] * MICROSECONDS <= last, F.col(settled_column(name))
        )
        for name in layout.history.objectives
    }
    return rows.where(F.col("date") >= F.lit(layout.history.since)).withColumns(cut)


def _known_by(rows: DataFrame, window: DayWindow) -> DataFrame:
    return rows.where(F.col(AT) <= F.unix_micros(F.lit(window.as_of)))


def _with(rows: DataFrame, more: DataFrame | None) -> DataFrame:
    return rows if more is None else rows.unionByName(more.select(*rows.columns))
