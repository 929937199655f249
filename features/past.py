"""The history's part in a run: the days that are missing are read, then each impression looks back."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import date

from pyspark.sql import DataFrame

from features.history.columns import history_rows, visible_columns, with_keys
from features.history.events import events
from features.history.keys import Layout, owned_keys
from features.history.past import Past, opened, usable
from features.history.store import HistoryStore
from features.inputs import RunInputs, entity_tables, judged_days
from features.join.entities import join_entities
from features.plan import Plan


@contextmanager
def opened_past(
    inputs: RunInputs, shown: DataFrame | None, joined: DataFrame, asking: DataFrame | None = None
) -> Iterator[Past]:
    """Make the days that are missing and those of the run, whose impressions are `shown`; kept while the block runs.

    `joined` has the columns that the keys' expressions see. Without `shown` the impressions are read like those of
    other days. `asking` are rows that look back and are no impressions of the run.
    """
    plan = inputs.plan
    layout = layout_of(plan)
    store = HistoryStore(plan.history, layout)
    stored = store.found()
    missing = usable(stored, layout, plan.window)[1]
    fresh = events(_earlier(inputs, plan.window.days) if shown is None else shown, layout)
    if missing:
        fresh = fresh.unionByName(events(_earlier(inputs, missing), layout))
    owned = owned_keys(visible_columns(joined), layout.history)
    run = plan.signature(inputs.input_versions)
    with opened(store, stored, fresh, plan.window, owned=owned, run=run, asking=asking) as past:
        yield past


def layout_of(plan: Plan) -> Layout:
    """Return what the run's history counts."""
    assert plan.features.history is not None
    return Layout.of(plan.features.history, plan.sources.objectives, plan.features.from_log)


def _earlier(inputs: RunInputs, days: Collection[date]) -> DataFrame:
    """Return the impressions of days that the run does not build, with their keys."""
    plan, spark = inputs.plan.on(sorted(days)), inputs.judged.sparkSession
    _, judged, _ = judged_days(spark, plan, inputs.input_versions)
    own = plan.window.days == inputs.plan.window.days
    # Earlier days look back further than the run's tables were read.
    tables = inputs.tables if own else entity_tables(spark, plan, inputs.input_versions, judged)
    joined = join_entities(history_rows(judged), tables, plan.sources, plan.window.days).frame
    return with_keys(joined, plan.features)
