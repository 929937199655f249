import json

import numpy as np
import pytest
import torch

from camoe.bundle.manifest import MANIFEST
from camoe.config.model import CamoeConfig, MlpConfig
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.errors import BundleError
from camoe.contracts.snapshot import pin
from camoe.evaluation.expert_figures import course, expert_document, expert_picture
from camoe.evaluation.experts import experts_of
from camoe.model.camoe import Camoe
from camoe.model.layers.scaling import Moments
from camoe.model.spec import ModelSpec
from jobs.experts import main
from tests.train.pipeline import write_pipeline

ROWS = {"s0": 60, "s1": 20, "s2": 40}
# Training as metrics.json has it: the gates come apart.
TRAINED = {"epochs": [
    {"losses": [1.0, 1.0], "checks": [{"step": 1, "validation_gates": [[0.5, 0.5], [0.5, 0.5]]}],
     "validation_gates": [[0.8, 0.2], [0.4, 0.6]]},
    {"losses": [1.0], "checks": [], "validation_gates": [[0.9, 0.1], [0.1, 0.9]]},
]}  # fmt: skip


def report(folder, *keep):
    """The report on a model whose audio gate takes the first expert, and whose video gate looks at the genre alone."""
    config = load(write_pipeline(folder, ROWS), Config)
    model = CamoeConfig(embedding_dim=2, experts=2, expert=MlpConfig(kind="mlp", hidden=(4,)), tower_hidden=())
    spec = ModelSpec(
        model=model, features=config.model_features, heads=config.heads, slots=config.slots, vocabulary_sizes=(10,)
    )
    torch.manual_seed(1)
    built = Camoe(spec, (Moments(30.0, 30.0),)).eval()
    with torch.no_grad():
        built.embedding.table.weight.normal_()
        for gate in built.body.gates:
            gate.linear.weight.zero_()
            gate.linear.bias.zero_()
        built.body.gates[0].linear.bias[0] = 20.0
        built.body.gates[1].linear.weight[0, 0] = 3.0
    if keep:
        built.body.keep(keep)
    return experts_of(built, spec, pin(config.layout.training), seed=1)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return report(tmp_path_factory.mktemp("experts"))


def test_weights_are_means_by_head_and_slot(found):
    assert found.weights.shape == (2, 3, 2)
    np.testing.assert_allclose(found.weights.sum(axis=2), 1.0)
    np.testing.assert_allclose(found.weights[0, :, 0], 1.0, atol=1e-6)
    assert found.rows.tolist() == [4 * rows for rows in ROWS.values()]


def test_heads_differ_in_what_they_use_and_how_many(found):
    assert found.in_use[0] == pytest.approx(1.0, abs=1e-4)
    assert 1.5 < found.in_use[1] <= 2
    assert found.in_use_by_row[1] < found.in_use[1]
    assert found.distances[0, 1] == found.distances[1, 0] > 0.2
    assert found.modalities is not None
    assert found.modalities.told == "more than by chance"


def test_a_gate_looks_at_the_fields_that_move_it(found):
    assert set(found.fields) == {"genre", "tenure"}
    assert found.fields["genre"][1] > 0.1
    assert found.fields["tenure"].tolist() == [0.0, 0.0]
    assert found.fields["genre"][0] == pytest.approx(0.0, abs=1e-6)


def test_the_report_is_a_picture_and_a_document(found):
    trained = course(TRAINED)
    assert list(trained) == [1, 2, 3]
    assert course({"epochs": [{"validation_ne": [0.9]}]}) == {}
    assert expert_picture(found, trained).startswith(b"\x89PNG")
    document = json.loads(json.dumps(expert_document(found, trained), allow_nan=False))
    assert document["mean_gate_weights"]["audio"]["s0"][0] == pytest.approx(1.0)
    assert document["modalities"]["told"] == "more than by chance"
    assert expert_picture(found, {}).startswith(b"\x89PNG")


def test_the_report_is_on_the_model_that_is_named(tmp_path):
    job = ["--config", str(write_pipeline(tmp_path, ROWS)), "--model"]
    with pytest.raises(BundleError, match="no bundle of model 0123456789ab is known"):
        main([*job, "0123456789ab"])
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / MANIFEST).write_text("{")
    with pytest.raises(BundleError, match=r"theirs/manifest.json is damaged"):
        main([*job, str(tmp_path / "theirs")])


def test_a_head_that_is_served_by_some_experts_has_no_weight_on_the_others(tmp_path):
    served = report(tmp_path, (0, 1), (1,))
    np.testing.assert_array_equal(served.weights[1], np.broadcast_to([0.0, 1.0], (3, 2)))
    assert served.in_use[1] == 1.0
