"""Every architecture against its written formulas, and what masking guarantees for each."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from camoe.bundle.graphs import export_heads
from camoe.bundle.manifest import CATEGORICAL, NUMERIC, WEIGHTS
from camoe.model.camoe import Camoe
from camoe.model.loss import head_losses, make_masking, make_normaliser, masked_loss, targets
from tests.model import reference
from tests.model.specs import HEADS, KINDS, MOMENTS, SLOTS, SPEC, config_of

each_kind = pytest.mark.parametrize("name", KINDS)


def model_of(name, **changes):
    torch.manual_seed(3)
    model = Camoe(SPEC.model_copy(update={"model": config_of(name, **changes)}), MOMENTS).double()
    with torch.no_grad():
        # Biases at zero would hide a bias that is left out.
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.3)
    return model


def batch_of(rows=9):
    generator = torch.Generator().manual_seed(5)
    categorical = torch.randint(0, 12, (rows, 2), generator=generator)
    numeric = torch.randn(rows, 2, generator=generator, dtype=torch.float64)
    return categorical, numeric


@pytest.mark.parametrize("name", ["camoe", "mmoe", "ple", "ple-two-layers"])
def test_what_dropout_leaves_out_is_drawn_in_training_only(name):
    model, batch = model_of(name, dropout=0.5), batch_of()
    one, other = (model.train()(*batch)[0] for _ in range(2))
    assert not torch.equal(one, other)
    one, other = (model.eval()(*batch)[0] for _ in range(2))
    assert torch.equal(one, other)


@each_kind
def test_the_forward_pass_is_the_written_formula(name):
    model, batch = model_of(name), batch_of()
    logits, gates = model(*batch)
    assert gates.shape == (9, 2, model.gate_width)
    weights = {key: value.detach().numpy() for key, value in model.body.state_dict().items()}
    for row, x in enumerate(model.bottom(*batch).detach().numpy()):
        expected_logits, expected_gates = reference.body(config_of(name), weights, x, 2)
        np.testing.assert_allclose(logits[row].detach(), expected_logits, rtol=1e-9)
        np.testing.assert_allclose(gates[row].detach(), expected_gates, rtol=1e-9)


@each_kind
def test_one_head_alone_gives_its_column(name):
    model, batch = model_of(name), batch_of()
    logits, _ = model(*batch)
    for head in range(2):
        torch.testing.assert_close(model.head_logits([head], *batch)[0], logits[:, head])


@pytest.mark.parametrize("name", ["camoe", "camoe-stacked-low-rank", "mmoe", "ple", "shared-bottom"])
def test_a_head_computed_on_its_own_rows_has_the_gradient_of_one_computed_on_all(name):
    """Also where rows have no head, or two, and where a head keeps some experts alone."""
    batch, found = batch_of(), []
    own = torch.tensor([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0], [0, 1], [0, 0], [1, 1], [1, 0]], dtype=torch.bool)
    assert torch.equal(model_of(name).own_logits(torch.ones_like(own), *batch), model_of(name)(*batch)[0])
    for alone in (False, True):
        model = model_of(name)
        if name == "camoe":
            model.body.keep([(1,), (0, 2)])
        logits = model.own_logits(own, *batch) if alone else model(*batch)[0]
        torch.autograd.backward(torch.where(own, logits.square(), 0.0).sum())
        gradients = [weight.grad.to_dense() for weight in model.parameters() if weight.grad is not None]
        found.append([torch.where(own, logits, 0.0).detach(), *gradients])
    assert len(found[0]) == len(found[1])
    for whole, alone in zip(*found, strict=True):
        torch.testing.assert_close(alone, whole, rtol=1e-12, atol=1e-12)


def part_loss(model, batch, labels, slot, whole, kind):
    """The loss of a part of the batch whose labels and slots are `whole`."""
    masking = make_masking(HEADS, SLOTS, adaptive=True)
    count = targets(masking, *whole)[1].sum(dim=0).double()
    share = torch.tensor([0.5, 0.2, 0.3], dtype=torch.float64)
    n = make_normaliser(kind, masking, share)(count, torch.tensor(float(len(whole[1]))))
    return masked_loss(head_losses(model(*batch)[0], *targets(masking, labels, slot)), masking.weight, n)


def gradients(model):
    return {
        name: torch.zeros_like(weight) if weight.grad is None else weight.grad.to_dense()
        for name, weight in model.named_parameters()
    }


@each_kind
def test_audio_rows_leave_what_belongs_to_video_exactly_alone(name):
    model, batch = model_of(name), batch_of()
    slot, labels = torch.tensor([0, 1, 0] * 3), torch.ones(9, 1, dtype=torch.int64)
    part_loss(model, batch, labels, slot, (labels, slot), "head").backward()
    found = gradients(model)

    def of_head(head):
        parts = [f"body.{part}.{head}." for part in ("gates", "towers", "last.gates", "last.own")]
        return {key: value for key, value in found.items() if key.startswith(tuple(parts))}

    assert of_head(1)
    assert not any(value.any() for value in of_head(1).values())
    assert all(value.any() for key, value in of_head(0).items() if key.endswith("logit.weight"))
    assert len([key for key in of_head(0) if "gates" in key]) == (2 if model.gate_width else 0)
    assert all(value.any() for key, value in of_head(0).items() if "gates" in key)


# Slots of nine rows that three workers have three each of; slot 2 is video.
BATCHES = {
    "both heads on all workers": [0, 2, 1, 2, 0, 0, 2, 1, 0],
    "video on one worker only": [0, 1, 1, 0, 0, 0, 2, 1, 2],
    "no video at all": [0, 1, 1, 0, 0, 0, 1, 1, 0],
}


@pytest.mark.parametrize("slots", BATCHES.values(), ids=BATCHES)
@each_kind
def test_three_workers_have_the_gradient_of_one(name, slots):
    model, batch, slot = model_of(name), batch_of(), torch.tensor(slots)
    labels = torch.tensor([[1], [0], [1], [0], [-1], [1], [0], [1], [1]])
    part_loss(model, batch, labels, slot, (labels, slot), "expected").backward()
    one = gradients(model)
    model.zero_grad()
    for own in (slice(0, 3), slice(3, 6), slice(6, 9)):
        part = (batch[0][own], batch[1][own])
        part_loss(model, part, labels[own], slot[own], (labels, slot), "expected").backward()
    for key, gradient in gradients(model).items():
        torch.testing.assert_close(gradient, one[key], rtol=1e-11, atol=1e-13, msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["camoe-stacked-low-rank", "mmoe", "ple-two-layers", "shared-bottom", "dcn"])
def test_a_heads_graph_gives_what_torch_gives(name, tmp_path):
    model = model_of(name).float().eval()
    save_file(model.state_dict(), tmp_path / WEIGHTS)
    export_heads(model, [tmp_path / "audio.onnx", tmp_path / "video.onnx"], tmp_path / WEIGHTS, print)
    categorical, numeric = batch_of(13)[0], batch_of(13)[1].float()
    session = onnxruntime.InferenceSession(tmp_path / "video.onnx", providers=["CPUExecutionProvider"])
    (p,) = session.run(None, {CATEGORICAL: categorical.numpy(), NUMERIC: numeric.numpy()})
    with torch.inference_mode():
        expected = torch.sigmoid(model(categorical, numeric)[0][:, 1]).numpy()
    np.testing.assert_allclose(p, expected, atol=1e-5)
