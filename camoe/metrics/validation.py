"""A model's states on the validation days, by head and slot: the calibration of its heads, and rows of metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from camoe.contracts.heads import HeadSet
from camoe.contracts.slots import SlotCatalogue
from camoe.metrics.config import EvaluationConfig
from camoe.metrics.histogram import Histogram, merge
from camoe.metrics.intervals import bucket_weights, estimates
from camoe.metrics.measures import measures
from camoe.metrics.platt import Platt, calibrated_state
from camoe.metrics.state import State
from camoe.metrics.table import MODEL, MODEL_RAW, StateKey, metric_row


def by_slot(state: Histogram, slots: int) -> tuple[Histogram, ...]:
    """Return the states of each of `slots` slots, from one whose bucket is `slot id * user buckets + user bucket`."""
    buckets = state.buckets // slots
    parts = []
    for slot in range(slots):
        own = state.only(state.bucket // buckets == slot)
        parts.append(replace(own, buckets=buckets, bucket=own.bucket % buckets))
    return tuple(parts)


def validation_rows(
    states: Mapping[str, Sequence[Histogram]],
    calibration: Mapping[str, Platt],
    heads: HeadSet,
    slots: SlotCatalogue,
    settings: EvaluationConfig,
) -> list[dict[str, Any]]:
    """Return the metrics of each head and slot that it serves, raw and calibrated, as in the report's metrics.json.

    `states` holds a head's raw predictions by slot id. The calibration was fitted to the same rows.
    """
    weights = bucket_weights(settings.user_buckets, settings.bootstrap, settings.seed)
    rows = []
    for head in heads.heads:
        served = [
            (slot.id, state)
            for slot, state in zip(slots.slots, states[head.name], strict=True)
            if head.owns(slot, heads.column)
        ]
        whole = merge([state for _, state in served], settings.user_buckets)
        for kind, group, raw in (("head", head.name, whole), *(("slot", slot, state) for slot, state in served)):
            key = StateKey(head.objective, kind, group, MODEL)
            calibrated = calibrated_state(raw, calibration[head.name])
            for predictor, full in ((MODEL, calibrated), (MODEL_RAW, raw)):
                state = State.of(full)
                found = estimates(state, measures(settings.ece_bins), weights)
                row = metric_row(replace(key, predictor=predictor), state, found, settings)
                rows.append({"head": head.name, **asdict(row)})
    return rows
