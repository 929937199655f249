"""Scores a pinned snapshot in this process, through the stream that training reads with. Needs no torch, no Spark."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator
from datetime import UTC, date, datetime

import pyarrow as pa

from camoe.contracts.errors import BundleError
from camoe.contracts.schema import SLOTS_PROPERTY
from camoe.contracts.slots import only_appended
from camoe.contracts.snapshot import Snapshot
from camoe.score.delta import predictions_by_slot, replace_predictions
from camoe.score.graph_inputs import block_inputs
from camoe.score.scorer import Scorer, ScoringModel, require_fit
from camoe.score.seen import Seen, Work, predict_and_count
from camoe.stream.api import Block, all_rows, model_columns

CARRIED_KEYS = ("impression_id", "user_id", "campaign_id")
BATCH_ROWS = 32_768


def score_snapshot(
    model: ScoringModel, snapshot: Snapshot, days: Collection[date], seen: Seen | None = None
) -> Iterator[pa.Table]:
    """Yield predictions of the impressions of `days`, some at a time, in no particular order, day after day.

    Only the keys and the columns that the model needs are read. The columns are those of `Scorer.predict`. To `seen`
    each part adds its scores, and what of it the model does not know.

    Raises:
        BundleError: the snapshot's rows are not made as those that the model was trained on.
        SnapshotError: a day has no rows.
        StreamError: a row group cannot be read, or not each row came exactly once.
    """
    require_fit(model, snapshot)
    return _all_scored(model, snapshot, days, seen or Seen())


def _all_scored(model: ScoringModel, snapshot: Snapshot, days: Collection[date], seen: Seen) -> Iterator[pa.Table]:
    require_slot_ids(model, snapshot)
    parts = [(day, snapshot.on([day])) for day in sorted(days)]
    scorer = Scorer(model)
    return (table for day, part in parts for table in _scored(scorer, model, part, day, seen))


def score_locally(work: Work) -> tuple[dict[str, int], Seen]:
    """Write the predictions of rows that fit the model; return them by slot, and what was seen of them.

    Raises:
        BundleError, SnapshotError, StreamError: as `score_snapshot` does.
        RunError: as `replace_predictions` does.
        DriftError: as the check does, and nothing is written.
    """
    seen, version = Seen(), work.model.manifest.model_version

    def checked() -> Iterator[pa.Table]:
        yield from _all_scored(work.model, work.snapshot, work.days, seen)
        work.look(seen)

    replace_predictions(checked(), work.snapshot, work.path, work.days, version, scored_at=datetime.now(UTC))
    return predictions_by_slot(work.path, work.days, version), seen


def require_slot_ids(model: ScoringModel, snapshot: Snapshot) -> None:
    """Raise `BundleError` unless the slot ids of the rows mean what they mean to the model."""
    found, own = snapshot.properties.get(SLOTS_PROPERTY, "none"), model.spec.slots.listing()
    if not (only_appended(found, own) or only_appended(own, found)):
        raise BundleError(
            f"{snapshot.table} version {snapshot.version} was built with the slots {found}, "
            f"model {model.manifest.model_version} has {own}; train again on this table"
        )


def _scored(scorer: Scorer, model: ScoringModel, snapshot: Snapshot, day: date, seen: Seen) -> Iterator[pa.Table]:
    columns = model_columns(model.spec.features, (), CARRIED_KEYS)
    with contextlib.closing(all_rows(snapshot, columns, BATCH_ROWS)) as blocks:
        for block in blocks:
            yield predict_and_count(scorer, block_inputs(block), _carried(block, model, day), seen)


def _carried(block: Block, model: ScoringModel, day: date) -> pa.Table:
    """Return the columns that name each row; its file lies under modality, slot and day and need not repeat them."""
    slots = model.spec.slots.slots
    named = {name: pa.array(values) for name, values in zip(CARRIED_KEYS, block.keys, strict=True)}
    ids = pa.array(block.slot)
    return pa.table(
        {
            **named,
            "modality": pa.array([slot.modality for slot in slots]).take(ids),
            "slot": pa.array([slot.id for slot in slots]).take(ids),
            "date": pa.repeat(pa.scalar(day), block.rows),
        }
    )
