"""The end of training: each head's calibration, and its metrics by slot, on the validation days."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from camoe.metrics.config import CalibrationConfig, EvaluationConfig
from camoe.metrics.histogram import Histogram, merge
from camoe.metrics.platt import Platt, fit_platt, keep_if_better
from camoe.metrics.scores import ScoreReference, references
from camoe.metrics.user_buckets import user_buckets
from camoe.metrics.validation import by_slot, validation_rows
from camoe.model.ensemble import Model
from camoe.model.loss import targets
from camoe.model.spec import ModelSpec
from camoe.stream.ledger import Ledger
from camoe.stream.reading.columns import Block, model_columns
from camoe.stream.stream import stream
from camoe.train.distributed.workers import gather
from camoe.train.loop.fit import TrainingRun
from camoe.train.loop.step import TrainStep
from camoe.train.loop.tensors import to_tensors

USER = "user_id"
# Entries of states that are collected before they are merged.
LOOSE_ENTRIES = 1 << 18


@dataclass(frozen=True)
class Calibrated:
    """By head the calibration, the rows of metrics of `camoe.metrics.validation`, and the calibrated `scores`.

    The same on every worker.
    """

    by_head: dict[str, Platt]
    rows: list[dict[str, Any]]
    scores: list[ScoreReference]


def calibrate(
    run: TrainingRun, model: Model, spec: ModelSpec, calibration: CalibrationConfig, evaluation: EvaluationConfig
) -> Calibrated:
    """Score the validation days of `run` once more, with `model`, and fit each head's calibration.

    A head sees the labelled rows of the slots that it serves, also where it learned from others, and is calibrated
    where that helps users that the calibration was not fitted to. The states of all workers are added up before
    anything is fitted, so the number of workers does not matter.

    Raises:
        StreamError: a row of the validation days is missing or came twice.
    """
    slots, heads = spec.slots.slots, spec.heads.heads
    states = _states(run, model, spec, evaluation.user_buckets)
    run.watchdog.beat("adding up the calibration's states")
    buckets = len(slots) * evaluation.user_buckets
    summed = [merge(parts, buckets) for parts in zip(*gather(states, "calibration"), strict=True)]
    found = {
        head.name: keep_if_better(fit_platt(state, calibration.min_per_class), state, evaluation.user_buckets)
        for head, state in zip(heads, summed, strict=True)
    }
    split = {head.name: by_slot(state, len(slots)) for head, state in zip(heads, summed, strict=True)}
    rows = validation_rows(split, found, spec.heads, spec.slots, evaluation)
    return Calibrated(found, rows, references(split, found, spec.heads, spec.slots))


def _states(run: TrainingRun, model: Model, spec: ModelSpec, users: int) -> list[Histogram]:
    """Score this worker's share of the validation rows: a state a head, with a bucket a slot and bucket of users."""
    plan, ledger = run.data.check(run.config), Ledger()
    assert plan is not None
    columns = model_columns(spec.features, spec.heads.objectives, keys=(USER,))
    steps = range(plan.steps)
    collected = [_Collected(len(spec.slots.slots) * users) for _ in spec.heads.heads]
    model.eval()
    blocks = stream(plan, columns, run.workers.world, run.feed.reading(), ledger=ledger)
    with torch.inference_mode():
        for _, block, _ in run.watched(blocks, "the calibration", steps):
            _collect(collected, model, run.train_step, block, users)
    run.count(plan, ledger, steps)
    return [one.merged() for one in collected]


def _collect(collected: list[_Collected], model: Model, train_step: TrainStep, block: Block, users: int) -> None:
    masking = train_step.masking.serving
    batch = to_tensors(block, train_step.workers.device, train_step.dtype)
    logits = model.logits(batch.categorical, batch.numeric, batch.sequences)
    label, mask = targets(masking, batch.labels, masking.cells(batch.slot, batch.categorical))
    p, label, mask = torch.sigmoid(logits).cpu(), label.cpu(), mask.cpu()
    bucket = block.slot.astype(np.int64) * users + user_buckets(block.keys[0], users)
    for head, state in enumerate(collected):
        own = mask[:, head]
        state.add(Histogram.from_rows(p[own, head], label[own, head], bucket[own.numpy()], state.buckets))


@dataclass
class _Collected:
    """States of one head, merged now and then: merging at every step would take time that grows with the days."""

    buckets: int
    parts: list[Histogram] = field(default_factory=list)
    loose: int = 0

    def add(self, state: Histogram) -> None:
        """Take in the rows of `state`."""
        self.parts.append(state)
        self.loose += len(state.bin)
        if self.loose > max(LOOSE_ENTRIES, len(self.parts[0].bin)):
            self.parts, self.loose = [self.merged()], 0

    def merged(self) -> Histogram:
        """Return the state of all rows."""
        return merge(self.parts, self.buckets)
