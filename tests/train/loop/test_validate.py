"""Validation judges each head on its own rows; weights are chosen by all rows, each as the loss weighs its head."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from camoe.train.loop.tensors import to_tensors
from camoe.train.loop.validate import validate
from tests.train.planted import HEAD_OF_SLOT, SPEC, TRAINING, learned, planted

ROWS = 6000


def judged(train_step, *blocks):
    model, masking, workers = train_step.model, train_step.masking, train_step.workers
    return validate(model, masking, blocks, workers, dtype=torch.float32)


def expected_ne(train_step, rows):
    """Of each head on its own rows: the mean log loss over the entropy of their click rate."""
    batch = to_tensors(rows, torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        logits, gates = train_step.model.eval()(batch.categorical, batch.numeric, batch.sequences)
    p, label, head_of_row = torch.sigmoid(logits).double().numpy(), rows.labels[:, 0], HEAD_OF_SLOT[rows.slot]
    ne, weights = [], []
    for head in range(len(SPEC.heads.heads)):
        own = (head_of_row == head) & (label >= 0)
        y, q, rate = label[own], p[own, head], label[own].mean()
        entropy = -(rate * np.log(rate) + (1 - rate) * np.log(1 - rate))
        ne.append(-np.mean(np.where(y == 1, np.log(q), np.log(1 - q))) / entropy)
        weights.append(gates[torch.from_numpy(own), head].mean(dim=0).tolist())
    return ne, weights


@pytest.mark.parametrize("mask", [True, False])
def test_a_head_is_judged_on_its_own_rows_whatever_it_learned_from(mask):
    train_step, rows = learned(TRAINING.model_copy(update={"mask": mask}), planted(ROWS, 1)), planted(ROWS, 2)
    rows.labels[::7] = -1
    found = judged(train_step, rows)
    ne, gates = expected_ne(train_step, rows)
    np.testing.assert_allclose(found.ne, ne, rtol=1e-6)
    np.testing.assert_allclose(found.gates, gates, rtol=1e-5)


def test_the_score_is_the_log_loss_of_all_rows_over_that_of_their_slots_rates_by_the_heads_weights():
    train_step, rows = learned(TRAINING, planted(500, 1)), planted(ROWS, 2)
    rows.labels[::7] = -1
    found = judged(train_step, rows).score
    batch = to_tensors(rows, torch.device("cpu"), torch.float32)
    with torch.inference_mode():
        logits, _ = train_step.model.eval()(batch.categorical, batch.numeric, batch.sequences)
    y, own = rows.labels[:, 0], rows.labels[:, 0] >= 0
    p = torch.sigmoid(logits).double().numpy()[np.arange(ROWS), HEAD_OF_SLOT[rows.slot]]
    rate = np.array([y[own & (rows.slot == slot)].mean() for slot in range(len(HEAD_OF_SLOT))])[rows.slot]

    weight = np.array([head.weight for head in SPEC.heads.heads])[HEAD_OF_SLOT[rows.slot]]
    assert set(weight) == {1, 2}

    def cost(q):
        return -(weight * np.where(y == 1, np.log(q), np.log(1 - q)))[own].sum()

    assert found == pytest.approx(cost(p) / cost(rate), rel=1e-6)
    rows.labels[:] = 0
    assert judged(train_step, rows).score == math.inf
