"""The build: every check before the first write, then encoder, quarantine, and the training table last."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts import encoder as encoders
from camoe.contracts.counts import require_equal
from camoe.contracts.days import Days
from camoe.contracts.encoder import EMPTY, Encoder
from camoe.contracts.features import FeatureSet
from camoe.contracts.layout import (
    CONFIG_PROPERTY,
    ENCODER_PROPERTY,
    FEATURE_SCHEMA_PROPERTY,
    KEYS,
    SLOTS_PROPERTY,
    Layout,
    label_column,
)
from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.sources import Sources
from features.commit import Commit, Run
from features.encode import apply, feature_values, fit
from features.entities import join_entities, matched_column, read_entities
from features.failures import explained
from features.impressions import judged_impressions
from features.outcome_tally import OutcomeTally, outcome_fates, positives, require_positives
from features.outcomes import logged, read_outcomes
from features.profile import profile
from features.progress import step
from features.quarantine import quarantine_rows, write_quarantine
from features.raw import read_impressions
from features.table import Target, as_files, require_compatible, require_same_columns, training_rows, write_training
from features.tally import Tally, kept, quarantined, tally
from features.window import Window

JOB = "build_features"


@dataclass(frozen=True)
class Build:
    """What one build reads, makes and writes."""

    folder: Path
    layout: Layout
    sources: Sources
    slots: SlotCatalogue
    days: Days
    features: FeatureSet
    config_hash: str
    rows_per_file: int
    replace: bool = False

    @property
    def run(self) -> Run:
        """The run; its id rests on the impression log and the days, so a rebuild of them is the same run."""
        log = str((self.folder / self.sources.impressions.path).resolve())
        text = json.dumps([log, *[day.isoformat() for day in self.days.all_days()]])
        return Run(hashlib.sha256(text.encode()).hexdigest()[:16], self.config_hash, str(self.folder.resolve()))

    @property
    def as_of(self) -> datetime:
        """When the labels are as known."""
        return self.days.known_at(self.sources.longest_window_s)

    def target(self, encoder_version: int) -> Target:
        """The training table with the properties that say what its rows are."""
        properties = {
            FEATURE_SCHEMA_PROPERTY: self.features.schema_hash(),
            ENCODER_PROPERTY: str(encoder_version),
            SLOTS_PROPERTY: self.slots.listing(),
            CONFIG_PROPERTY: self.config_hash,
        }
        return Target(self.layout.training, properties, self.replace)


@dataclass(frozen=True)
class Built:
    """What came of a build: rows of both logs by fate, matched share per entity, the encoder, and both commits."""

    tally: Tally
    outcomes: OutcomeTally
    matched: Mapping[str, float]
    encoder: Encoder
    training: Commit
    quarantine: Commit

    def counts(self) -> dict[str, Any]:
        """The build as counts.json keeps it."""
        slots: dict[str, dict[str, int]] = {}
        for (day, slot), rows in self.tally.kept.items():
            slots.setdefault(day.isoformat(), {})[slot] = rows
        return {
            "read": self.tally.read,
            "excluded": dict(self.tally.excluded),
            "duplicates": self.tally.duplicates,
            "quarantined": dict(self.tally.quarantined),
            "outcomes": self.outcomes.counts(),
            "written": self.training.rows,
            "rows_per_day_and_slot": slots,
            "matched": dict(self.matched),
            "vocabulary": self.encoder.sizes(),
            "encoder_version": self.encoder.version,
            "table_version": self.training.version,
        }


def build(spark: SparkSession, plan: Build) -> Built:
    """Make the training table. A build that fails its checks writes nothing.

    Raises:
        InputError: the input is missing, empty, damaged, not what the mapping says, has an empty day or too many rows
            to quarantine, an objective of the outcome log has no positive label, or the table that is there has other
            features.
        ConfigError: a feature or payload names what is not there.
        CountError: the rows written are not the rows that were to be written.
    """
    with explained(f"cannot build from {plan.folder}", "mend the input, or use try_cast in the expression that failed"):
        require_compatible(spark, plan.target(0))
        window = Window(plan.days.zone, plan.days.all_days(), plan.as_of)
        outcomes = read_outcomes(spark, plan.folder, plan.sources, window)
        read = read_impressions(spark, plan.folder, plan.sources, window)
        judged = judged_impressions(read, outcomes, plan.sources, plan.slots, window)
        entities = read_entities(spark, plan.folder, plan.sources, judged)
        judged = judged.persist()
        values = _values(judged, entities, plan).persist()
        try:
            return _checked_and_written(spark, plan, judged, values, outcomes)
        finally:
            values.unpersist()
            judged.unpersist()


def _values(judged: DataFrame, entities: Mapping[str, DataFrame], plan: Build) -> DataFrame:
    labels = [label_column(objective) for objective in plan.sources.objectives]
    joined = join_entities(kept(judged), entities, plan.sources, plan.days.all_days()).frame
    flags = [matched_column(name) for name in entities]
    # A label of an objective that is not trained on is as much a leak as one that is.
    hidden = [name for name in joined.columns if name.startswith((label_column(""), "_"))]
    return feature_values(joined, plan.features, [*KEYS, "date", "slot", *labels, *flags], hidden)


def _checked_and_written(
    spark: SparkSession, plan: Build, judged: DataFrame, values: DataFrame, outcomes: DataFrame | None
) -> Built:
    context = spark.sparkContext
    days = plan.days.all_days()
    with step(context, f"{JOB}: checking impressions"):
        counted = tally(judged)
    counted.require_sum()
    counted.require_usable(plan.sources.max_quarantined, days)
    with step(context, f"{JOB}: joining {', '.join(plan.sources.entities) or 'nothing'} and fitting vocabularies"):
        matched = _matched(values, plan.sources)
        fitted = fit(profile(values, plan.features), plan.features, plan.days.train.days())
    known = encoders.latest_version(plan.layout.encoder)
    encoder = (encoders.read(plan.layout.encoder, known) if known else EMPTY).grow(fitted)
    encoded = apply(values, encoder, plan.features)
    rows = training_rows(encoded, plan.slots, list(plan.sources.objectives), plan.features, plan.as_of)
    require_same_columns(rows, plan.target(encoder.version))
    with step(context, f"{JOB}: counting outcomes"):
        labelled = _outcome_tally(plan, judged, values, outcomes)
    files = as_files(rows, counted.kept, plan.rows_per_file)
    cannot_write = explained(f"cannot write to {plan.layout.root}", "mend what it says and run again")
    with step(context, f"{JOB}: writing"), cannot_write:
        encoders.write(encoder, plan.layout.encoder)
        refused = write_quarantine(quarantine_rows(quarantined(judged), plan.run), plan.layout.quarantine, plan.run)
        require_equal("rows of the quarantine table", counted.rows_quarantined, refused.rows)
        written = write_training(files, plan.target(encoder.version), days, plan.rows_per_file, plan.run)
    require_equal("rows of the training table", counted.rows_kept, written.rows)
    return Built(counted, labelled, matched, encoder, written, refused)


def _outcome_tally(plan: Build, judged: DataFrame, values: DataFrame, outcomes: DataFrame | None) -> OutcomeTally:
    positive = positives(values, plan.sources.objectives)
    if outcomes is None:
        return OutcomeTally({}, positive)
    from_log = logged(plan.sources)
    found = OutcomeTally(outcome_fates(judged, outcomes, from_log, plan.as_of), positive)
    require_positives(found, outcomes, from_log, plan.days.train.days())
    return found


def _matched(values: DataFrame, sources: Sources) -> dict[str, float]:
    if not sources.entities:
        return {}
    shares = [F.avg(F.col(matched_column(name)).cast("double")).alias(name) for name in sources.entities]
    row = values.agg(*shares).first()
    return {} if row is None else {name: round(share, 6) for name, share in row.asDict().items()}
