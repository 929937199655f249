"""Impressions or candidates scored with one model: checked first, written by whoever is to, and counted after."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

from camoe.contracts import encoder as encoders
from camoe.contracts.features import FeatureSet
from camoe.contracts.layout import Layout
from camoe.contracts.places.alone import days_alone
from camoe.contracts.places.counts import require_equal
from camoe.contracts.runs import RunRecord, encoder_version
from camoe.contracts.snapshot import Snapshot
from camoe.score.drift import Watch
from camoe.score.predictions import require_writable
from camoe.score.scored import Scored
from camoe.score.scorer import (
    ScoringModel,
    expected_predictions,
    require_features,
    require_fit,
    require_vocabulary,
)
from camoe.score.seen import Seen, Work


@dataclass(frozen=True)
class Rows:
    """Rows to score: impressions of `days`, the `snapshot` of them alone, or candidates that are encoded beside it.

    `records` are those of the runs that built the impressions' table. `into` is the place of their predictions.
    """

    snapshot: Snapshot
    days: tuple[date, ...]
    records: Mapping[date, RunRecord]
    into: Path | str


def score_impressions(
    model: ScoringModel,
    rows: Rows,
    layout: Layout,
    write: Callable[[Work], tuple[dict[str, int], Seen]],
    watch: Watch,
) -> Scored:
    """Let `write` score impressions with `model`, and hold their drift against the bounds of `watch`.

    Raises:
        BundleError: the rows are not made as those that the model was trained on.
        SnapshotError: the predictions table takes no predictions of them.
        RunError: another job scores one of the days with the model.
        CountError: not each row was scored.
        DriftError: a strict `watch` found drift, and nothing was written.
    """
    started, path = time.monotonic(), rows.into
    require_fit(model, rows.snapshot, rows.records)
    require_vocabulary(model, encoders.read(layout.encoder, encoder_version(rows.records)))
    require_writable(path, rows.snapshot)
    with days_alone(layout.leases, model.manifest.model_version, rows.days):
        by_slot, seen = write(_work(model, rows, path, watch))
    require_equal("rows scored", expected_predictions(model, rows.snapshot), sum(by_slot.values()))
    drift = watch.look(model, seen)
    return Scored(model, rows.days, rows.snapshot.rows, by_slot, drift, path, time.monotonic() - started)


def score_candidates(
    model: ScoringModel,
    rows: Rows,
    layout: Layout,
    write: Callable[[Work], tuple[int, dict[str, int], Seen]],
    watch: Watch,
    *,
    features: FeatureSet,
) -> Scored:
    """Let `write` score candidates, of which it also gives the number, as `score_impressions` does impressions.

    `features` are those that they are given.

    Raises:
        BundleError: the model reads others.
        RunError, CountError, DriftError: as `score_impressions` does.
    """
    started, path = time.monotonic(), rows.into
    require_features(model, features, "the configuration")
    with days_alone(layout.leases, model.manifest.model_version, rows.days):
        number, by_slot, seen = write(_work(model, rows, path, watch))
    drift = watch.look(model, seen)
    return Scored(model, rows.days, number, by_slot, drift, path, time.monotonic() - started)


def _work(model: ScoringModel, rows: Rows, path: Path | str, watch: Watch) -> Work:
    check = partial(watch.before_writing, model) if watch.strict else None
    return Work(model, rows.snapshot, rows.days, path, check)
