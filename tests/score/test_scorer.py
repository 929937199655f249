"""The ONNX graphs give what the torch model gives, each row by the head of its slot."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch

from camoe.bundle import manifest as names
from camoe.bundle.write import Origin, write_bundle
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import BundleError
from camoe.contracts.layout import FEATURE_SCHEMA_PROPERTY
from camoe.contracts.snapshot import Snapshot
from camoe.model.camoe import Camoe
from camoe.score.scorer import Scorer, read_model, require_fit, require_vocabulary
from tests.model.test_camoe import MOMENTS, SPEC
from tests.stream.plans import snapshot_of

METRICS = {
    "epochs": [{"validation_ne": [0.9, None]}],
    "best_epoch": 0,
    "parameters": 1,
    "data": {"train_days": ["d"], "validation_days": ["d"], "train_rows": 1, "validation_rows": 1},
}


@pytest.fixture(scope="module")
def torch_model():
    torch.manual_seed(11)
    return Camoe(SPEC, MOMENTS)


@pytest.fixture(scope="module")
def bundle(torch_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    origin = Origin(Snapshot("/t", 3, (), {}, ()), Encoder(1, {"x": ("a",)}), "confighash")
    write_bundle(folder, torch_model, SPEC, origin, METRICS)
    return folder


def rows_of(number):
    random = np.random.default_rng(number)
    numeric = random.normal(size=(number, 2)).astype(np.float32)
    return pa.table(
        {
            "slot": random.choice(["a", "b", "v"], number),
            "cat_x": random.integers(0, 9, number).astype(np.int32),
            "cat_y": random.integers(0, 12, number).astype(np.int32),
            "num_u": pa.array(numeric[:, 0], mask=random.random(number) < 0.3),
            "num_w": numeric[:, 1],
        }
    )


def made_from(schema_hash):
    """A table version whose rows were made from the features of `schema_hash`."""
    return replace(snapshot_of([(0, 0, [5])]), properties={FEATURE_SCHEMA_PROPERTY: schema_hash})


@pytest.mark.parametrize("number", [1, 2, 7, 500])
def test_predictions_are_the_torch_models_whatever_the_batch_size(bundle, torch_model, number):
    rows = rows_of(number)
    p = Scorer(read_model(bundle)).predict(rows, "click")
    categorical = torch.from_numpy(np.column_stack([rows["cat_x"], rows["cat_y"]]).astype(np.int64))
    numeric = torch.from_numpy(np.column_stack([rows["num_u"], rows["num_w"]]).astype(np.float32))
    with torch.inference_mode():
        both = torch.sigmoid(torch_model.eval()(categorical, numeric)[0]).numpy()
    head = np.array([1 if slot == "v" else 0 for slot in rows["slot"].to_pylist()])
    np.testing.assert_allclose(p, both[np.arange(number), head], atol=1e-6)


def test_a_bundle_holds_no_file_that_could_run_code(bundle):
    kinds = {path.suffix for path in bundle.rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors", ".onnx", ".md", ".parquet"}


@pytest.mark.parametrize("name", [names.WEIGHTS, names.SPEC, "heads/video.onnx", "encoder/v1/vocabulary.parquet"])
def test_a_missing_file_is_named(bundle, name):
    moved = bundle / f"{name}.moved"
    (bundle / name).rename(moved)
    try:
        with pytest.raises(BundleError, match=f"is broken: {name} is missing"):
            read_model(bundle)
    finally:
        moved.rename(bundle / name)


def test_no_bundle_at_all_names_the_job_to_run(tmp_path):
    with pytest.raises(BundleError, match=r"no model bundle at .*; run jobs/train.py first"):
        read_model(tmp_path)


@pytest.mark.parametrize("content", [b'{"model_version": "x"}', b"{", b"\xff\xfe\x00"])
def test_a_damaged_manifest_is_refused(tmp_path, content):
    (tmp_path / names.MANIFEST).write_bytes(content)
    with pytest.raises(BundleError, match="is damaged"):
        read_model(tmp_path)


def test_rows_made_from_other_features_are_refused(bundle):
    with pytest.raises(BundleError, match="was trained on feature schema"):
        require_fit(read_model(bundle), made_from("other"))


def test_a_slot_that_the_model_never_saw_is_refused_by_name(bundle):
    with pytest.raises(BundleError, match="does not know: s0"):
        require_fit(read_model(bundle), made_from(SPEC.features.schema_hash()))


def test_a_vocabulary_that_was_renumbered_is_refused(bundle):
    model = read_model(bundle)
    require_vocabulary(bundle, model, Encoder(5, {"x": ("a", "b"), "new": ("c",)}))
    with pytest.raises(BundleError, match="trained with another vocabulary"):
        require_vocabulary(bundle, model, Encoder(5, {"x": ("b", "a")}))
