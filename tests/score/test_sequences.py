"""A model with a sequence scores the same through torch, a table of Arrow and the stream, and encodes raw lists."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file

import camoe
from camoe.bundle.manifest import WEIGHTS
from camoe.contracts.encoder import FIRST, UNKNOWN
from camoe.model.camoe import Camoe
from camoe.model.layers.scaling import Moments
from camoe.score.graph_inputs import ScoringError, graph_inputs
from camoe.score.local import score_snapshot
from camoe.score.unknown import Unknown
from tests.score.pipeline import DAYS, write_scorable
from tests.score.rows import by_impression, encoded_rows, swapped
from tests.train.pipeline import VALUES, sequence_features


@pytest.fixture(scope="module", params=["mean", "sum"])
def pipeline(request, tmp_path_factory):
    return write_scorable(tmp_path_factory.mktemp("scorable"), features=sequence_features(pooling=request.param))


@pytest.fixture(scope="module")
def predictor(pipeline):
    return camoe.load(pipeline.bundle)


def by_torch(pipeline, spec, rows):
    """Each row's probability by the head of its slot, from the bundle's weights."""
    model = Camoe(spec, (Moments(0.0, 1.0),)).eval()
    model.load_state_dict(load_file(pipeline.bundle / WEIGHTS))
    inputs = graph_inputs(rows, spec)
    owner = [spec.heads.heads.index(spec.heads.serving_head(slot, "click")) for slot in spec.slots.slots]
    with torch.inference_mode():
        logits, _ = model(*map(torch.from_numpy, (inputs.categorical, inputs.numeric, inputs.sequences)))
    return torch.sigmoid(logits).numpy()[np.arange(len(logits)), np.array(owner)[inputs.slot]]


def test_graphs_stream_and_torch_agree_and_the_sequence_counts(pipeline, predictor):
    rows = encoded_rows(pipeline.snapshot)
    direct = predictor.predict(rows)
    np.testing.assert_allclose(direct["p_raw"], by_torch(pipeline, predictor.model.spec, rows), atol=1e-6)
    local = pa.concat_tables(score_snapshot(predictor.model, pipeline.snapshot, DAYS))
    np.testing.assert_allclose(by_impression(local)["p_raw"], by_impression(direct)["p_raw"], atol=1e-6)
    empty = swapped(rows, "seq_recent", [[]] * rows.num_rows)
    has = np.array([len(one) > 0 for one in rows["seq_recent"].to_pylist()])
    moved = np.abs(predictor.predict(empty)["p_raw"].to_numpy() - direct["p_raw"].to_numpy())
    assert moved[has].max() > 1e-3
    assert moved[~has].max() == 0


def test_elements_that_the_model_does_not_know_are_counted(pipeline, predictor):
    elements = [index for one in encoded_rows(pipeline.snapshot)["seq_recent"].to_pylist() for index in one]
    unknown = Unknown()
    list(score_snapshot(predictor.model, pipeline.snapshot, DAYS, unknown))
    assert unknown.counts()["seq_recent"] == {"unknown": elements.count(UNKNOWN), "of": len(elements)}
    assert elements.count(UNKNOWN) > 0


def test_raw_lists_are_encoded_by_the_bundle(predictor):
    raw = {
        "slot": ["s0"] * 4,
        "genre": [VALUES[0]] * 4,
        "tenure": [1.0] * 4,
        "recent": [[VALUES[1], None, "new"], None, [], [*VALUES]],
    }
    encoded = predictor.encode(pa.table(raw))
    last = [FIRST + len(VALUES) - back for back in (3, 2, 1)]
    assert encoded["seq_recent"].to_pylist() == [[FIRST + 1, 1], [], [], last]
    assert predictor.predict(encoded).num_rows == 4
    with pytest.raises(ScoringError, match="column recent is string, where lists are needed"):
        predictor.encode(pa.table({**raw, "recent": ["x"] * 4}))


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ([[1, 2, 3, 4]], "seq_recent has a list of 4 elements, where at most 3 fit; encode raw values first"),
        ([[1, -2]], "seq_recent has the index -2; indices begin at 0"),
        ([[1, None]], "seq_recent has nulls; a row without elements is an empty list"),
    ],
)
def test_lists_that_no_build_makes_are_refused(pipeline, predictor, lists, message):
    rows = encoded_rows(pipeline.snapshot).slice(0, 1)
    with pytest.raises(ScoringError, match=message):
        predictor.predict(swapped(rows, "seq_recent", lists))
