"""Candidates, which may become impressions: their features are joined point in time, and there is no outcome."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import InputError
from camoe.contracts.features import FeatureSet
from camoe.contracts.runs import RunRecord
from camoe.contracts.sources import Sources
from features.encoding.encode import apply, feature_values, with_derived
from features.encoding.profile import profile
from features.history.columns import hidden_columns, with_keys
from features.history.keys import key_column
from features.history.lookup import NUMBERS
from features.history.past import told
from features.history.smoothing import with_history
from features.history.weights import smoothing_weights
from features.impressions.judge import judged_impressions
from features.impressions.tally import count_impressions
from features.incremental import find_existing
from features.inputs import RunInputs, entity_tables, judged_days
from features.join.entities import join_entities
from features.past import opened_past
from features.plan import Plan
from features.prepare import persisted
from features.read.files import input_versions
from features.read.raw import read_impressions
from features.report.drift import Profile, Shifts, profile_of, shifts_of

REQUEST = "request_id"
KEYS = ("impression_id", REQUEST, "user_id", "campaign_id", "ts", "date", "slot")


@dataclass(frozen=True)
class Candidates:
    """Candidates with the `values` of their features, which all models share, and how often each value comes."""

    values: DataFrame
    profile: Profile
    plan: Plan

    def encoded(self, encoder: Encoder, features: FeatureSet) -> DataFrame:
        """Return them with the columns of the training table, by the vocabularies and `features` of a model."""
        return _with_modality(apply(self.values, encoder, features), self.plan)

    def shifts_of(self, records: Mapping[date, RunRecord]) -> Callable[..., Shifts]:
        """Return what holds them against days that a model learned from, by the runs of `records`; see `shifts_of`."""
        return partial(shifts_of, self.profile, self.plan.layout.profiles, records)


@contextmanager
def opened_candidates(spark: SparkSession, plan: Plan, table: Path) -> Iterator[Candidates]:
    """Join the candidates in the parquet `table` and compute their features, once; they are kept while the block runs.

    A candidate is a request_id and a campaign_id with the raw columns of an impression, which are read by the mapping
    of the impressions. Its history is what the log told before its `ts`: candidates are no impressions, and change no
    one's history.

    Raises:
        InputError: a table is missing or damaged, or a candidate is one that an impression would be refused for.
        EncoderError: the history's rates are fitted, and no build has fitted them.
    """
    sources = candidate_sources(plan.sources, plan.here(table))
    versions = input_versions(spark, plan.folder, plan.sources, plan.window)
    raw = read_impressions(spark, plan.folder, sources, plan.window)
    judged = judged_impressions(raw, None, sources, plan.slots, plan.window).persist()
    try:
        _require_sound(judged, table)
        tables = entity_tables(spark, plan, versions, judged)
        joined = join_entities(judged, tables, plan.sources, plan.window.days).frame
        with _valued(spark, plan, tables, versions, joined) as valued, persisted(valued) as values:
            counted = profile(values, plan.features).drop("date").toArrow()
            yield Candidates(values, profile_of(counted), plan)
    finally:
        judged.unpersist()


def candidate_sources(sources: Sources, table: Path) -> Sources:
    """Return the sources with the candidates of `table` in place of the impressions, named by request and campaign."""
    log = sources.impressions
    campaign = log.columns["campaign_id"]
    columns = {
        **log.columns,
        REQUEST: REQUEST,
        "impression_id": f"concat_ws(':', {REQUEST}, {campaign})",
    }
    changed: dict[str, object] = {"path": str(table.absolute()), "format": "parquet", "options": {}, "columns": columns}
    changed |= {"labels": {}, "exclude": (), "payload": None, "survivor": (), "repeats_days": None}
    changed |= {"weight": None, "aggregated": False, "day_column": None}
    return sources.model_copy(update={"impressions": log.model_copy(update=changed)})


def _require_sound(judged: DataFrame, table: Path) -> None:
    counted = count_impressions(judged)
    refused = {**counted.excluded, **counted.quarantined}
    if counted.duplicates:
        refused["given twice"] = counted.duplicates
    if refused or not counted.read:
        why = ", ".join(f"{name} {rows:,}" for name, rows in refused.items()) or "there are none"
        raise InputError(
            f"candidates at {table}: {sum(refused.values()):,} of {counted.read:,} cannot be scored ({why}); mend the "
            "table or choose their days by --days; nothing was written"
        )


@contextmanager
def _valued(
    spark: SparkSession, plan: Plan, tables: Mapping[str, DataFrame], versions: Mapping[str, str], joined: DataFrame
) -> Iterator[DataFrame]:
    features = plan.features
    if features.history is None:
        yield with_derived(feature_values(joined, features, KEYS, hidden_columns(joined)), features)
        return
    keyed, keys = with_keys(joined, features), [key_column(name) for name in features.history.keys]
    values = feature_values(keyed, features, [*KEYS, *keys], hidden_columns(keyed)).persist()
    impressions, judged, outcomes = judged_days(spark, plan, versions)
    inputs = RunInputs(plan, find_existing(plan), impressions, judged, outcomes, tables, {}, versions)
    try:
        with opened_past(inputs, None, joined, asking=values) as past:
            rows = told(values, past).drop(*keys)
            weights = smoothing_weights(plan.layout.encoder, rows, (), past.layout)
            yield with_derived(with_history(rows, past.layout, weights, plan.window.zone).drop(NUMBERS), features)
    finally:
        values.unpersist()


def _with_modality(rows: DataFrame, plan: Plan) -> DataFrame:
    modalities = [F.when(F.col("slot") == slot.id, F.lit(slot.modality)) for slot in plan.slots.slots]
    return rows.withColumn("modality", F.coalesce(*modalities))
