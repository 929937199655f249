"""An ensemble is one bundle: its graphs give the mean of the members' logits, and what scores needs to know nothing."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pyarrow as pa
import pytest
import torch
from scipy.special import expit, logit

from camoe.bundle import manifest as names
from camoe.bundle.manifest import open_bundle
from camoe.bundle.model import read_module
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import TrainingError
from camoe.model.camoe import Camoe
from camoe.model.ensemble import ensemble_of
from camoe.score.graph_inputs import graph_inputs
from camoe.score.scorer import ROWS_AT_ONCE, Scorer, read_model
from camoe.train.checkpoint.warm_start import warm_start
from tests.model.specs import MOMENTS, SPEC
from tests.score.small import by_torch, rows_of, write

MEMBERS = 3
ENSEMBLE = SPEC.model_copy(update={"members": MEMBERS})


@pytest.fixture(scope="module")
def members():
    made = []
    for seed in range(MEMBERS):
        torch.manual_seed(seed)
        model = Camoe(SPEC, MOMENTS)
        # Weights as they start give every row about the same prediction; these tell rows and members apart.
        torch.nn.init.normal_(model.embedding.table.weight)
        made.append(model)
    return made


@pytest.fixture(scope="module")
def bundle(members, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ensemble") / "bundle"
    write(folder, ensemble_of(members), ENSEMBLE)
    return folder


def test_its_models_can_be_looked_into_again(bundle, members):
    rows = rows_of(9)
    for again, member in zip(read_module(open_bundle(bundle)).members, members, strict=True):
        assert not again.training
        np.testing.assert_array_equal(by_torch(again, rows), by_torch(member, rows))


@pytest.mark.parametrize("number", [0, 1, 7, ROWS_AT_ONCE + 5])
def test_predictions_are_of_the_mean_logit_of_the_members(bundle, members, number):
    rows = rows_of(number)
    head = np.array([1 if slot == "v" else 0 for slot in rows["slot"].to_pylist()], dtype=int)
    each = np.array([logit(by_torch(model, rows)[np.arange(number), head]) for model in members])
    found = Scorer(read_model(bundle)).predict(rows)["p_raw"].to_numpy()
    np.testing.assert_allclose(found, expit(each.mean(axis=0)), atol=1e-6)
    if number > 1:
        assert np.ptp(each, axis=0).max() > 0.05
    batch = [torch.from_numpy(of) for of in (graph_inputs(rows, SPEC).categorical, graph_inputs(rows, SPEC).numeric)]
    with torch.inference_mode():
        together = ensemble_of(members).eval().logits(*batch).numpy()
    np.testing.assert_allclose(together[np.arange(number), head], each.mean(axis=0), atol=1e-5)


def test_the_bundle_holds_each_members_table_once_and_its_graphs_run_elsewhere(bundle, members):
    model, rows = read_model(bundle), rows_of(7).set_column(0, "slot", pa.repeat("v", 7))
    assert [table.shape for table in model.tables.values()] == [tuple(members[0].embedding.table.weight.shape)] * 3
    session = onnxruntime.InferenceSession(bundle / names.graph_name("video"), providers=["CPUExecutionProvider"])
    inputs = graph_inputs(rows, SPEC)
    (p,) = session.run(None, {names.CATEGORICAL: inputs.categorical, names.NUMERIC: inputs.numeric})
    np.testing.assert_array_equal(p, Scorer(model).predict(rows)["p_raw"])


def test_the_bundle_says_that_it_is_one(bundle):
    assert open_bundle(bundle).spec.members == MEMBERS
    assert (
        "\n3 models whose logits are averaged, each a CAMoE with 2 dcn experts and 2 heads, "
        in (bundle / names.CARD).read_text()
    )


def test_a_warm_start_from_it_is_refused(bundle, members):
    with pytest.raises(TrainingError, match="is an ensemble of 3 models; start from the bundle of a single one"):
        warm_start(members[0], SPEC, Encoder(1, {"x": ("a",)}), bundle)


def test_one_member_is_the_model_itself(members):
    assert ensemble_of(members[:1]) is members[0]
