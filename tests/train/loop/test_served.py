"""Heads that are served by a part of their experts: which these are, and that nothing else is computed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

import camoe
from camoe.bundle.manifest import open_bundle
from camoe.bundle.model import read_module
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import ConfigError
from camoe.model.camoe import Camoe
from camoe.model.ensemble import keep_experts
from camoe.train.loop.served import most_used
from tests.model.specs import HEADS, MOMENTS, SPEC, config_of
from tests.score.small import by_torch, rows_of, write
from tests.train.job import train
from tests.train.pipeline import CONFIG, write_pipeline

KEPT = (((1,), (0, 2)),)


@pytest.mark.parametrize(
    ("wanted", "kept"),
    [(1, (2,)), (2, (0, 2)), (9, (0, 1, 2, 3)), (0.5, (2,)), (0.79, (0, 2)), (0.89, (0, 2)), (0.95, (0, 1, 2))],
)
def test_the_experts_of_the_most_weight_are_kept_in_their_order(wanted, kept):
    assert most_used([0.3, 0.06, 0.6, 0.04], wanted) == kept


@pytest.fixture
def model():
    torch.manual_seed(3)
    spec = SPEC.model_copy(update={"model": config_of("camoe", embedding_scale=1.0, gate_scale=3.0)})
    return Camoe(spec, MOMENTS).eval(), spec


def test_a_head_mixes_what_it_keeps_by_weights_that_sum_to_one_again(model):
    whole, _ = model
    body, x = whole.body, torch.randn(50, whole.body.gates[0].linear.in_features)
    outputs = body.experts(x)
    expected = []
    for head, kept in enumerate(KEPT[0]):
        weights = body.gates[head](x)[:, list(kept)]
        weights = weights / weights.sum(dim=1, keepdim=True)
        expected.append(body.towers[head](sum(weights[:, [place]] * outputs[:, of] for place, of in enumerate(kept))))
    keep_experts(whole, KEPT)
    logits, gates = body(x)
    for head, wanted in enumerate(expected):
        torch.testing.assert_close(logits[:, head], wanted)
        torch.testing.assert_close(body.head_logit(head, x), wanted)
    assert torch.equal(gates[:, 0], torch.tensor([0.0, 1.0, 0.0]).expand(50, 3))
    assert torch.all(gates[:, 1, 1] == 0)


def test_a_graph_has_only_the_experts_of_its_head_and_gives_what_torch_gives(model, tmp_path):
    whole, spec = model
    write(tmp_path / "all", whole, spec)
    keep_experts(whole, KEPT)
    write(tmp_path / "kept", whole, spec.model_copy(update={"kept_experts": KEPT}))
    rows = rows_of(200)
    found = camoe.load(tmp_path / "kept").predict(rows).to_pandas()
    expected = by_torch(whole, rows)
    head = np.array([0 if slot in "ab" else 1 for slot in rows["slot"].to_pylist()])
    np.testing.assert_allclose(found["p_raw"], expected[np.arange(200), head], atol=1e-6)
    sizes = {
        name: [(tmp_path / name / f"head-{head.name}.onnx").stat().st_size for head in HEADS.heads]
        for name in ("all", "kept")
    }
    assert sizes["kept"][0] < sizes["kept"][1] < sizes["all"][1]
    versions = [open_bundle(tmp_path / name).manifest.model_version for name in ("all", "kept")]
    assert versions[0] != versions[1]
    again = read_module(open_bundle(tmp_path / "kept"))
    np.testing.assert_array_equal(by_torch(again, rows), expected)


@pytest.mark.horovod
@pytest.mark.slow
def test_training_serves_what_its_gates_use_and_calibrates_that(tmp_path):
    """Two workers, with a refit, whose gates are looked at anew."""
    more = {"served_experts": 1, "refit": True, "dtype": "float32"}
    path = write_pipeline(tmp_path, {"s0": 331, "s1": 203, "s2": 70}, training=CONFIG["training"] | more)
    said = train(path, 2).stdout
    assert said.count("experts that are served: ") == 2
    bundle = open_bundle(load(path, Config).layout.bundle)
    ((audio, video),) = bundle.spec.kept_experts
    assert len(audio) == len(video) == 1
    assert f"audio {audio[0] + 1}, video {video[0] + 1}" in said.rpartition("experts that are served: ")[2]
    assert "Experts that are served: audio 1, video 1" in (bundle.folder / "card.md").read_text()
    assert json.loads(bundle.read("calibration.json")).keys() == {"audio", "video"}


def test_a_model_without_shared_experts_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="served_experts is for models whose heads share experts, not shared_bottom"):
        write_pipeline(
            tmp_path,
            {"s0": 10},
            training=CONFIG["training"] | {"served_experts": 1},
            model={"kind": "shared_bottom"},
        )
