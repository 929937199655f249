"""A model that learns from a sample of the negatives says the probabilities of all rows."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.special import expit
from torch.nn.functional import binary_cross_entropy_with_logits

from camoe.config.training import TrainingConfig
from camoe.contracts.errors import ConfigError
from camoe.contracts.heads import Head, HeadSet
from camoe.train.loop.negatives import make_sampling
from camoe.train.loop.seeding import draw_rows
from tests.train.planted import HEAD_OF_SLOT, SPEC, TRAINING, learned, own_logits, planted, quality

HEADS = HeadSet(heads=(Head(name="audio", objective="click"), Head(name="video", objective="click")))
ROWS = 200_000
RATES = torch.tensor([0.02, 0.2], dtype=torch.float64)


@pytest.fixture(scope="module")
def rows():
    """Labels `[B, 2]` of known rates, and a mask that leaves a tenth out."""
    generator = torch.Generator().manual_seed(3)
    label = (torch.rand(ROWS, 2, generator=generator) < RATES).long()
    return label, torch.rand(ROWS, 2, generator=generator) > 0.1


def test_all_positives_and_the_declared_share_of_negatives_are_kept(rows):
    label, mask = rows
    sampling = make_sampling(HEADS, {"audio": 0.1}, torch.device("cpu"))
    kept = sampling.kept(label, mask, torch.from_numpy(draw_rows(1, 0, 0, ROWS)))
    assert torch.equal(kept[label > 0], mask[label > 0])
    assert not bool((kept & ~mask).any())
    negatives = mask & (label == 0)
    share = (kept & negatives).sum(dim=0) / negatives.sum(dim=0)
    assert share[0].item() == pytest.approx(0.1, abs=0.003)
    assert share[1].item() == 1.0


def test_the_least_loss_on_the_sample_is_at_the_rates_of_all_rows(rows):
    """The mean p of all rows is within 2 % of their click rate; without the correction audio is ten times too high."""
    label, mask = rows
    sampling = make_sampling(HEADS, {"audio": 0.1, "video": 0.5}, torch.device("cpu"))
    kept = sampling.kept(label, mask, torch.from_numpy(draw_rows(1, 0, 0, ROWS)))
    logits = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([logits], max_iter=100, line_search_fn="strong_wolfe")

    def loss():
        optimiser.zero_grad()
        terms = binary_cross_entropy_with_logits(
            sampling.among_kept(logits.expand(ROWS, 2)), label.double(), reduction="none"
        )
        value = terms[kept].sum() / kept.sum()
        value.backward()
        return value

    optimiser.step(loss)
    observed = torch.stack([label[mask[:, head], head].double().mean() for head in range(2)])
    torch.testing.assert_close(torch.sigmoid(logits.detach()), observed, rtol=0.02, atol=0)


@pytest.mark.slow
def test_ece_on_all_rows_is_that_of_learning_from_all_rows():
    """To 0.01. The p of the sample, before p / (p + (1 - p) / w), is off by more than 0.1."""
    sampled = {"audio": 0.1, "video": 0.3}
    rows, held_out = planted(120_000, seed=1), planted(60_000, seed=2)
    whole = quality(expit(own_logits(learned(TRAINING, rows), held_out)), held_out)
    train_step = learned(TRAINING.model_copy(update={"negatives": sampled}), rows)
    logit = own_logits(train_step, held_out)
    w = np.array([sampled[head.name] for head in SPEC.heads.heads])[HEAD_OF_SLOT[held_out.slot]]
    p = expit(logit - np.log(w))
    uncorrected, corrected = quality(p, held_out), quality(p / (p + (1 - p) / w), held_out)
    np.testing.assert_allclose(p / (p + (1 - p) / w), expit(logit), rtol=1e-9)
    for head in sampled:
        assert whole[head].ece < 0.03
        assert corrected[head].ece == pytest.approx(whole[head].ece, abs=0.01)
        assert uncorrected[head].ece > 0.1
        assert corrected[head].auc_pr == pytest.approx(whole[head].auc_pr, rel=0.05)


def test_the_loss_of_each_head_is_of_the_rows_that_it_learns_from():
    """So what is said of the heads adds up to what is said of all."""
    block, draw = planted(500, seed=2), torch.from_numpy(draw_rows(1, 0, 0, 500))
    found = learned(TRAINING.model_copy(update={"negatives": {"audio": 0.1}}), planted(2000, seed=1)).step(block, draw)
    own = np.eye(2, dtype=bool)[HEAD_OF_SLOT[block.slot]]
    kept = own & ((block.labels[:, :1] > 0) | (draw.numpy()[:, np.newaxis] < [0.1, 1.0]))
    assert found.rows == tuple(kept.sum(axis=0)) != tuple(own.sum(axis=0))
    assert found.means == tuple(np.divide(found.losses, found.rows))
    weights = [head.weight for head in SPEC.heads.heads]
    assert np.dot(weights, found.means) == pytest.approx(found.loss, rel=1e-6)


def test_a_head_that_is_not_there_is_named():
    with pytest.raises(ConfigError, match=r"training\.negatives names radio; the heads are audio, video"):
        make_sampling(HEADS, {"radio": 0.5}, torch.device("cpu"))


def test_the_rows_that_the_plan_expects_are_not_those_that_are_kept():
    with pytest.raises(ValueError, match="normalise expected takes the rows of a head from the plan"):
        TrainingConfig(normalise="expected", negatives={"audio": 0.5})
