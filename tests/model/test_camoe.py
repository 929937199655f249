"""The model against formulas written out by hand, and what adaptive loss masking guarantees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from camoe.contracts.features import FeatureSet
from camoe.contracts.heads import HeadSet
from camoe.contracts.slots import SlotCatalogue
from camoe.model.camoe import Camoe
from camoe.model.config import ModelConfig
from camoe.model.loss import make_masking, masked_loss, per_head, targets, whole_batch
from camoe.model.scaling import Moments
from camoe.model.spec import ModelSpec

SLOTS = SlotCatalogue(
    slots=[
        {"id": "a", "name": "A", "modality": "audio"},
        {"id": "b", "name": "B", "modality": "audio"},
        {"id": "v", "name": "V", "modality": "video"},
    ]
)
HEADS = HeadSet(
    heads=[
        {"name": "audio", "objective": "click", "where": {"modality": ["audio"]}},
        {"name": "video", "objective": "click", "where": {"modality": ["video"]}, "weight": 2.0},
    ]
)
FEATURES = FeatureSet(
    categorical=[{"name": "x", "sql": "x"}, {"name": "y", "sql": "y"}],
    numeric=[{"name": "u", "sql": "u"}, {"name": "w", "sql": "w", "transform": "log1p"}],
)
SPEC = ModelSpec(
    model=ModelConfig(embedding_dim=3, experts=2, cross_layers=2, expert_hidden=(5, 4), tower_hidden=(3,)),
    features=FEATURES,
    heads=HEADS,
    slots=SLOTS,
    vocabulary_sizes=(6, 9),
)
MOMENTS = (Moments(mean=1.0, std=2.0), Moments(mean=0.5, std=0.25))


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


def by_hand(model, categorical, numeric):
    """The formulas of the docstrings in plain numpy, one row at a time."""
    weights = {name: value.detach().numpy() for name, value in model.state_dict().items()}
    logits = np.empty((len(categorical), 2))
    gates = np.empty((len(categorical), 2, 2))
    for row, (ids, values) in enumerate(zip(categorical.numpy(), numeric.numpy(), strict=True)):
        parts = []
        for index, (size, offset) in enumerate(((6, 0), (9, 6))):
            chosen = ids[index] if ids[index] < size else 1
            parts.append(weights["embedding.table.weight"][offset + chosen])
        known = np.nan_to_num(values)
        treated = np.array([known[0], np.sign(known[1]) * np.log1p(abs(known[1]))])
        scaled = np.clip((treated - [1.0, 0.5]) / [2.0, 0.25], -5, 5)
        missing = np.isnan(values)
        x0 = np.concatenate([*parts, np.where(missing, 0, scaled), missing])
        outputs = []
        for expert in range(2):
            name = f"experts.{expert}"
            x = x0
            for layer in range(2):
                cross = f"{name}.cross.layers.{layer}"
                x = x0 * (weights[f"{cross}.weight"] @ x + weights[f"{cross}.bias"]) + x
            deep = x0
            for layer in (0, 3):
                linear = f"{name}.deep.{layer}"
                deep = np.maximum(weights[f"{linear}.weight"] @ deep + weights[f"{linear}.bias"], 0)
            outputs.append(weights[f"{name}.join.weight"] @ np.concatenate([x, deep]) + weights[f"{name}.join.bias"])
        for head in range(2):
            scores = weights[f"gates.{head}.weight"] @ x0 + weights[f"gates.{head}.bias"]
            gate = np.exp(scores) / np.exp(scores).sum()
            mixed = sum(weight * output for weight, output in zip(gate, outputs, strict=True))
            hidden = weights[f"towers.{head}.0.0.weight"] @ mixed + weights[f"towers.{head}.0.0.bias"]
            out = weights[f"towers.{head}.1.weight"] @ np.maximum(hidden, 0) + weights[f"towers.{head}.1.bias"]
            logits[row, head], gates[row, head] = out[0], gate
    return logits, gates


def test_the_forward_pass_is_the_written_formula(model, batch):
    logits, gates = model(*batch)
    expected_logits, expected_gates = by_hand(model, *batch)
    np.testing.assert_allclose(logits.detach(), expected_logits, rtol=1e-9)
    np.testing.assert_allclose(gates.detach(), expected_gates, rtol=1e-9)


def test_one_head_alone_gives_its_column(model, batch):
    logits, _ = model(*batch)
    for head in range(2):
        torch.testing.assert_close(model.head_logit(head, *batch), logits[:, head])


def loss_of(model, batch, slot, labels, *, adaptive=True):
    masking = make_masking(HEADS, SLOTS, adaptive=adaptive)
    label, mask = targets(masking, labels, slot)
    logits, _ = model(*batch)
    count = mask.sum(dim=0)
    return masked_loss(logits, label, mask, masking.weight, per_head(count, torch.tensor(len(slot))))


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


def test_audio_rows_leave_the_video_gate_and_tower_exactly_alone(model, batch):
    labels = torch.ones(8, 1, dtype=torch.int64)
    loss_of(model, batch, torch.tensor([0, 1] * 4), labels).backward()
    for name, weight in model.named_parameters():
        if name.startswith(("gates.1.", "towers.1.")):
            assert torch.count_nonzero(weight.grad) == 0, name
        if name.startswith(("gates.0.weight", "towers.0.0.0.weight")):
            assert torch.count_nonzero(weight.grad) > 0, name


def test_without_masking_every_head_learns_from_every_row(model, batch):
    loss_of(model, batch, torch.tensor([0, 1] * 4), torch.ones(8, 1, dtype=torch.int64), adaptive=False).backward()
    assert torch.count_nonzero(model.gates[1].weight.grad) > 0


@pytest.mark.parametrize("labels", [torch.full((8, 1), -1), torch.empty((0, 1), dtype=torch.int64)])
def test_no_known_label_gives_loss_zero_and_no_nan(model, batch, labels):
    rows = len(labels)
    part = (batch[0][:rows], batch[1][:rows])
    loss = loss_of(model, part, torch.zeros(rows, dtype=torch.int64), labels)
    loss.backward()
    assert loss.item() == 0
    dense = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert all(torch.isfinite(grad.to_dense()).all() and not grad.to_dense().any() for grad in dense)


def test_the_batch_normaliser_weighs_every_row_alike():
    assert whole_batch(torch.tensor([3.0, 5.0]), torch.tensor(10.0)).tolist() == [10.0, 10.0]


def test_an_index_beyond_the_vocabulary_reads_as_unknown(model):
    numeric = torch.zeros(2, 2, dtype=torch.float64)
    logits, _ = model(torch.tensor([[1, 1], [600, 900]]), numeric)
    torch.testing.assert_close(logits[0], logits[1])


def test_embedding_gradients_are_sparse(model, batch):
    loss_of(model, batch, torch.zeros(8, dtype=torch.int64), torch.ones(8, 1, dtype=torch.int64)).backward()
    assert model.embedding.table.weight.grad.is_sparse
