"""The shared bottom against its written formula, and what adaptive loss masking guarantees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from camoe.model.camoe import Camoe
from camoe.model.loss import head_losses, make_masking, masked_loss, per_head, targets
from tests.model.specs import HEADS, MOMENTS, SLOTS, SPEC


@pytest.fixture
def model():
    torch.manual_seed(3)
    return Camoe(SPEC, MOMENTS).double()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(5)
    categorical = torch.randint(0, 12, (8, 2), generator=generator)
    numeric = torch.randn(8, 2, generator=generator, dtype=torch.float64)
    numeric[2, 1] = torch.nan
    return categorical, numeric


def test_the_shared_bottom_is_the_written_formula(model, batch):
    table = model.embedding.table.weight.detach().numpy()
    x = model.bottom(*batch).detach().numpy()
    assert x.shape == (8, SPEC.bottom_width)
    for row, (ids, values) in enumerate(zip(batch[0].numpy(), batch[1].numpy(), strict=True)):
        parts = []
        for index, (size, offset) in enumerate(((6, 0), (9, 6))):
            chosen = ids[index] if ids[index] < size else 1
            parts.append(table[offset + chosen])
        known = np.nan_to_num(values)
        treated = np.array([known[0], np.sign(known[1]) * np.log1p(abs(known[1]))])
        scaled = np.clip((treated - [1.0, 0.5]) / [2.0, 0.25], -5, 5)
        missing = np.isnan(values)
        expected = np.concatenate([*parts, np.where(missing, 0, scaled), missing])
        np.testing.assert_allclose(x[row], expected, rtol=1e-12)


def test_embeddings_start_at_the_declared_scale():
    def table(scale):
        torch.manual_seed(3)
        config = SPEC.model.model_copy(update={"embedding_scale": scale})
        return Camoe(SPEC.model_copy(update={"model": config}), MOMENTS).embedding.table.weight.detach()

    torch.testing.assert_close(table(0.5), 50 * table(0.01))


def loss_of(model, batch, slot, labels, *, adaptive=True):
    masking = make_masking(HEADS, SLOTS, adaptive=adaptive)
    label, mask = targets(masking, labels, slot)
    logits, _ = model(*batch)
    count = mask.sum(dim=0)
    return masked_loss(head_losses(logits, label, mask), masking.weight, per_head(count, torch.tensor(len(slot))))


def test_the_loss_is_the_weighted_sum_of_each_heads_mean(model, batch):
    slot = torch.tensor([0, 1, 2, 0, 2, 1, 0, 2])
    labels = torch.tensor([[1], [0], [1], [0], [0], [-1], [1], [1]])
    logits = model(*batch)[0].detach()
    p = torch.sigmoid(logits)

    def bce(row, head):
        y = labels[row, 0]
        return -torch.log(p[row, head] if y == 1 else 1 - p[row, head])

    audio = sum(bce(row, 0) for row in (0, 1, 3, 6)) / 4
    video = sum(bce(row, 1) for row in (2, 4, 7)) / 3
    torch.testing.assert_close(loss_of(model, batch, slot, labels).detach(), audio + 2 * video)


def test_without_masking_every_head_learns_from_every_row(model, batch):
    loss_of(model, batch, torch.tensor([0, 1] * 4), torch.ones(8, 1, dtype=torch.int64), adaptive=False).backward()
    assert torch.count_nonzero(model.body.gates[1].linear.weight.grad) > 0


@pytest.mark.parametrize("labels", [torch.full((8, 1), -1), torch.empty((0, 1), dtype=torch.int64)])
def test_no_known_label_gives_loss_zero_and_no_nan(model, batch, labels):
    rows = len(labels)
    part = (batch[0][:rows], batch[1][:rows])
    loss = loss_of(model, part, torch.zeros(rows, dtype=torch.int64), labels)
    loss.backward()
    assert loss.item() == 0
    dense = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert all(torch.isfinite(grad.to_dense()).all() and not grad.to_dense().any() for grad in dense)


def test_an_index_beyond_the_vocabulary_reads_as_unknown(model):
    numeric = torch.zeros(2, 2, dtype=torch.float64)
    logits, _ = model(torch.tensor([[1, 1], [600, 900]]), numeric)
    torch.testing.assert_close(logits[0], logits[1])


def test_embedding_gradients_are_sparse(model, batch):
    loss_of(model, batch, torch.zeros(8, dtype=torch.int64), torch.ones(8, 1, dtype=torch.int64)).backward()
    assert model.embedding.table.weight.grad.is_sparse


@pytest.mark.parametrize(("own", "share"), [(None, 0.5), (0.0, 0.0)])
def test_what_all_experts_read_has_a_dropout_of_its_own(own, share):
    config = SPEC.model.model_copy(update={"dropout": 0.5, "input_dropout": own})
    bottom = Camoe(SPEC.model_copy(update={"model": config}), MOMENTS).train().dropout
    assert (bottom(torch.ones(10_000)) == 0).double().mean().item() == pytest.approx(share, abs=0.03)
