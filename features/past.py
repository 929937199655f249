"""The history's part in a run: earlier days that are missing are made, then each impression looks back."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, timedelta

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts import encoder as encoders
from camoe.contracts.encoder import EncoderError
from camoe.contracts.history import History
from camoe.contracts.runs import EntityState
from camoe.contracts.schema import label_column
from features.delta.commit import CommitMetadata
from features.history.blocks import SIZES, days_between
from features.history.events import AT, additions, counts_in_history, events, known_day, probes, row_of, states
from features.history.keys import MICROSECONDS, Layout, key_column, key_columns, owned_keys
from features.history.lookup import DAYS, NUMBERS, Known, Span, lookup, needed
from features.history.records import StoredDay, described, matured, states_of
from features.history.smoothing import rate_names, with_history
from features.history.store import EVENTS, HistoryStore, Stored, own_name, table_of
from features.history.weights import fit_weights
from features.impressions.labels import settled_column
from features.impressions.tally import is_kept
from features.inputs import RunInputs, judged_days
from features.join.entities import join_entities
from features.plan import JOB, Plan
from features.spark.progress import step

# Whether an impression goes on to the training table; others only count in the history.
KEPT = "_kept"
SEEN = "_seen"


@dataclass(frozen=True)
class Past:
    """What a run's impressions can know. `made` are the days that the run makes, `days` those and the stored ones."""

    layout: Layout
    store: HistoryStore
    run: CommitMetadata
    span: Span
    events: DataFrame
    states: DataFrame
    known: Known
    made: Mapping[date, StoredDay]
    days: Mapping[date, StoredDay]

    def entity_states(self) -> dict[str, EntityState]:
        """Return what the run's record keeps of the days."""
        return states_of(self.days, self.layout)

    def write(self) -> None:
        """Put the days that the run made on disk."""
        self.store.write(self.events, self.states, tuple(self.made.values()), self.run)


def hidden_columns(joined: DataFrame) -> list[str]:
    """Return the columns that no expression of the features may see: labels, of whatever objective, and helpers."""
    return [name for name in joined.columns if name.startswith((label_column(""), "_"))]


def with_keys(joined: DataFrame, history: History) -> DataFrame:
    """Add the key sets' columns, and whether the impression goes on to the training table."""
    made = key_columns(joined.drop(*hidden_columns(joined)), history)
    return joined.withColumns({**made, KEPT: is_kept()})


def keyed_columns(history: History) -> list[str]:
    """Return the columns that the history needs of each impression, besides its keys, `ts` and `date`."""
    settled = [settled_column(name) for name in history.objectives]
    return [KEPT, *[key_column(name) for name in history.keys], *settled]


def history_rows(judged: DataFrame) -> DataFrame:
    """Return the impressions that count in the history, of which the kept ones are a part."""
    return judged.where(counts_in_history())


@contextmanager
def opened_past(inputs: RunInputs, shown: DataFrame, joined: DataFrame) -> Iterator[Past]:
    """Make the days that are missing and those of the run, whose impressions are `shown`; kept while the block runs.

    `joined` has the columns that the keys' expressions see.
    """
    plan = inputs.plan
    layout = layout_of(plan)
    store = HistoryStore(plan.layout.history / plan.settings_hash, layout)
    span, run = Span.of(plan.window, layout.history.delay_s), own_name(plan.signature(inputs.input_versions))
    stored = store.found()
    usable, missing = _usable(plan, layout, stored, span)
    owned = owned_keys(joined.drop(*hidden_columns(joined)), layout.history)
    with ExitStack() as stack:
        fresh = events(shown, layout)
        if missing:
            fresh = fresh.unionByName(events(_earlier(inputs, missing, layout.history), layout))
        fresh = _settled_by(fresh, plan, layout).persist()
        stack.callback(fresh.unpersist)
        final = {day: _is_final(plan, layout, day) for day in sorted({*missing, *plan.window.days})}
        with step(shown.sparkSession.sparkContext, f"{JOB}: reading the history of {len(final)} days"):
            made = described(fresh, final, run.run_id)
        summed = states(_known_by(additions(fresh, layout), plan), layout, plan.window.zone, owned).persist()
        stack.callback(summed.unpersist)
        known = _known(store, usable, fresh, summed, plan)
        yield Past(layout, store, run, span, fresh, summed, known, made, {**stored.days, **made})


def _known(store: HistoryStore, usable: Stored, fresh: DataFrame, summed: DataFrame, plan: Plan) -> Known:
    """Return what is known from the `usable` days and blocks on disk, and from the `fresh` events and their sums."""
    spark, layout = fresh.sparkSession, store.layout
    span = Span.of(plan.window, layout.history.delay_s)
    near = [day for day in usable.days if day >= span.first - timedelta(days=layout.lag_days)]
    every = _with(fresh, store.read(spark, usable, EVENTS, {(day, usable.days[day].run_id) for day in near}))
    recent = _known_by(additions(every, layout), plan).where(known_day(span.zone) >= F.lit(span.first))
    read = needed(layout, span, usable.blocks)
    sources = {day for block in read if block.days == 1 for day in block.sources(layout)} & usable.days.keys()
    alone = store.read(spark, usable, table_of(1), {(day, usable.days[day].run_id) for day in sources})
    every_state = _with(summed, alone).withColumn(DAYS, F.lit(1))
    for size in SIZES:
        wanted = {
            (one.first, one.run_id) for block, one in usable.blocks.items() if block.days == size and block in read
        }
        held = store.read(spark, usable, table_of(size), wanted)
        every_state = _with(every_state, None if held is None else held.withColumn(DAYS, F.lit(size)))
    return Known(recent, every_state, usable.blocks)


def told(shown: DataFrame, past: Past) -> DataFrame:
    """Add to the impressions `_numbers`: what each could know of its keys."""
    seen = F.unix_micros("ts") - past.layout.history.delay_s * MICROSECONDS
    found = lookup(probes(shown, past.layout), past.known, past.layout, past.span)
    rows = shown.withColumns({"_row": row_of(), SEEN: seen})
    found = found.withColumnsRenamed({"row": "_row", AT: SEEN})
    joined = rows.join(found, on=["_row", SEEN], how="left")
    return joined.drop("_row", SEEN, *keyed_columns(past.layout.history))


def with_past(rows: DataFrame, past: Past, weights: Mapping[str, float]) -> DataFrame:
    """Replace `_numbers` by the history's features."""
    return with_history(rows, past.layout, weights, past.span.zone).drop(NUMBERS)


def smoothing_weights(plan: Plan, rows: DataFrame, layout: Layout) -> dict[str, float]:
    """Return the weight of each rate: the declared one, the one that the encoder keeps, or fitted on training rows.

    Raises:
        EncoderError: weights are to be fitted, and the run has no training day.
    """
    names, declared = rate_names(layout), layout.history.smoothing
    if declared != "fitted":
        return dict.fromkeys(names, float(declared))
    kept = encoders.latest_weights(plan.layout.encoder)
    if set(names) <= kept.keys():
        return {name: kept[name] for name in names}
    if not plan.training_days:
        raise EncoderError(
            f"the encoder at {plan.layout.encoder} has no smoothing weights of the history, and none of the run's days "
            "is a training day to fit them on; build training days first"
        )
    training = rows.where(F.col("date").isin(list(plan.training_days)))
    with step(rows.sparkSession.sparkContext, f"{JOB}: fitting the history's smoothing"):
        return fit_weights(training, training.count(), layout)


def layout_of(plan: Plan) -> Layout:
    """Return what the run's history counts."""
    history = plan.features.history
    assert history is not None
    return Layout.of(history, plan.sources.objectives)


def _usable(plan: Plan, layout: Layout, stored: Stored, span: Span) -> tuple[Stored, tuple[date, ...]]:
    """Return what the run can use of what is stored, and the days that it has to make beside its own."""
    history = layout.history
    first = max(history.since, span.first - timedelta(days=history.horizon_days + layout.lag_days))
    wanted = set(days_between(first, span.last)) - set(plan.window.days)
    days = {day: one for day, one in stored.days.items() if day in wanted and one.final}
    blocks = {block: one for block, one in stored.blocks.items() if set(block.sources(layout)) <= days.keys()}
    return replace(stored, days=days, blocks=blocks), tuple(sorted(wanted - days.keys()))


def _is_final(plan: Plan, layout: Layout, day: date) -> bool:
    return plan.window.as_of.astimezone(UTC) >= matured(day, plan.window.zone, layout)


def _earlier(inputs: RunInputs, days: Collection[date], history: History) -> DataFrame:
    """Return the impressions of days that the run does not build, with their keys."""
    plan = inputs.plan.on(sorted(days))
    _, judged, _ = judged_days(inputs.judged.sparkSession, plan, inputs.input_versions)
    joined = join_entities(history_rows(judged), inputs.tables, plan.sources, plan.window.days).frame
    return with_keys(joined, history)


def _settled_by(rows: DataFrame, plan: Plan, layout: Layout) -> DataFrame:
    """Return the events with the labels that had matured by the as-of time, and without days before `since`."""
    last = F.unix_micros(F.lit(plan.window.as_of))
    cut = {
        settled_column(name): F.when(
            F.col(AT) + layout.lags_s[name] * MICROSECONDS <= last, F.col(settled_column(name))
        )
        for name in layout.history.objectives
    }
    return rows.where(F.col("date") >= F.lit(layout.history.since)).withColumns(cut)


def _known_by(rows: DataFrame, plan: Plan) -> DataFrame:
    return rows.where(F.col(AT) <= F.unix_micros(F.lit(plan.window.as_of)))


def _with(rows: DataFrame, more: DataFrame | None) -> DataFrame:
    return rows if more is None else rows.unionByName(more.select(*rows.columns))
