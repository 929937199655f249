"""What cutting and a low rank cost, on rows of known probabilities: a third of the work at the same entropy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import expit

from camoe.compress.cut import cut
from camoe.compress.measure import multiplications
from camoe.compress.usage import usage_in
from camoe.config.compress import CompressConfig
from camoe.config.model import CamoeConfig, DcnConfig
from camoe.metrics.calibration import normalised_entropy
from camoe.metrics.histogram import Histogram
from camoe.model.layers.scaling import Moments
from camoe.score.graph_inputs import GraphInputs
from camoe.train.assemble import assemble_train_step
from camoe.train.loop.teacher import Teacher
from tests.model.specs import SLOTS
from tests.train.planted import NUMERICS, SHARES, SPEC, TRAINING, learned, own_logits, planted

SEEDS = (1, 2, 3)
EXPERT = DcnConfig(cross_layers=2, rank=8, hidden=(32, 16))
WIDE = SPEC.model_copy(update={"model": CamoeConfig(embedding_dim=8, experts=4, expert=EXPERT, tower_hidden=(8,))})


def entropy(step, rows):
    """NE over all rows, each by the head of its slot."""
    return float(normalised_entropy(Histogram.from_rows(expit(own_logits(step, rows)), rows.labels[:, 0]).bins()))


def work(model, spec, rows):
    """Multiplications a row."""
    inputs = (rows.slot.astype(np.int64), rows.categorical.astype(np.int64), rows.numeric.copy())
    return multiplications(model, spec, GraphInputs(*inputs, np.zeros((rows.rows, 0), np.int64)))


def tuned(source, spec, rows, training):
    """The cut model of `spec` after a pass over `rows`, taught by `source`."""
    share = {slot.id: share for slot, share in zip(SLOTS.slots, SHARES, strict=True)}
    moments, steps = [Moments(0.0, 1.0)] * NUMERICS, rows.rows // training.batch_size
    usage = usage_in([rows], source.model.eval(), WIDE)
    model, smaller = cut(source.model, WIDE, usage, spec)
    step = assemble_train_step(training, smaller, moments, source.workers, slot_share=share, total_steps=steps)
    step.model.load_state_dict(model.state_dict())
    teacher = Teacher(lambda batch: torch.sigmoid(source.model.logits(batch.categorical, batch.numeric)), 0.5, "source")
    taught = replace(step, teacher=teacher)
    order = np.random.default_rng(training.seed).permutation(rows.rows)
    source.model.requires_grad_(False)
    for number in range(steps):
        own = order[number * training.batch_size : (number + 1) * training.batch_size]
        taught.step(replace(rows, records=rows.records[own]))
    return step, smaller


@pytest.mark.slow
def test_a_cut_model_does_a_third_of_the_work_at_the_same_entropy(capsys):
    """One expert a head, three quarters of the embeddings' columns, a pass of tuning, which the source gets, too."""
    rows, held_out = planted(60_000, seed=1), planted(60_000, seed=2)
    asked, changes, shares = CompressConfig(experts=1, embedding_dim=6), [], []
    for seed in SEEDS:
        training = TRAINING.model_copy(update={"seed": seed})
        source = learned(training, rows, WIDE)
        rates = {"learning_rate": 0.3 * training.learning_rate}
        rates["embedding_learning_rate"] = 0.3 * training.embedding_learning_rate
        training = training.model_copy(update=rates)
        last, smaller = tuned(source, asked, rows, training)
        whole, _ = tuned(source, CompressConfig(), rows, training)
        changes.append([entropy(last, held_out) - entropy(other, held_out) for other in (source, whole)])
        shares.append(work(last.model.eval(), smaller, held_out) / work(source.model, WIDE, held_out))
    with capsys.disabled():
        print(f"\nNE less the source's and the tuned source's, by seed {np.round(changes, 4).tolist()}; work {shares}")
    assert np.mean(shares) < 1 / 3
    assert np.mean(changes, axis=0)[1] < 0.001


@pytest.mark.slow
def test_crosses_of_a_low_rank_learn_as_much_as_full_ones(capsys):
    """Rank 8 of 42, five seeds, paired."""
    rows, held_out = planted(60_000, seed=1), planted(60_000, seed=2)

    def of(rank, seed):
        expert = EXPERT.model_copy(update={"rank": rank})
        spec = WIDE.model_copy(update={"model": WIDE.model.model_copy(update={"expert": expert})})
        return entropy(learned(TRAINING.model_copy(update={"seed": seed}), rows, spec), held_out)

    changes = np.array([of(8, seed) - of(None, seed) for seed in (1, 2, 3, 4, 5)])
    with capsys.disabled():
        print(f"\nNE of rank 8 less full rank {changes.mean():+.4f}, by seed {np.round(changes, 4)}")
    assert changes.mean() < 0.001
