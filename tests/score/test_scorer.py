"""The ONNX graphs give what the torch model gives, each row by the head of its slot."""

from __future__ import annotations

import json
import pickle
import shutil
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file, save_file

from camoe.bundle import manifest as names
from camoe.contracts.built.definitions import definitions
from camoe.contracts.encoder import UNKNOWN, Encoder
from camoe.contracts.errors import BundleError
from camoe.contracts.heads import HeadSet
from camoe.contracts.runs import RunRecord
from camoe.contracts.schema import FEATURE_SCHEMA_PROPERTY, FEATURES_PROPERTY
from camoe.contracts.snapshot import DataFile, Snapshot
from camoe.metrics.platt import Platt
from camoe.model.camoe import Camoe
from camoe.score import scorer
from camoe.score.graph_inputs import graph_inputs
from camoe.score.scorer import ROWS_AT_ONCE, Scorer, expected_predictions, read_model, require_fit, require_vocabulary
from camoe.score.unknown import unknown_in
from tests.model.specs import MOMENTS, SPEC
from tests.score.small import by_torch, rows_of, write
from tests.stream.plans import FIRST_DAY, snapshot_of

NOW = datetime(2026, 1, 6, tzinfo=UTC)

LARGE = 100_000
# One index that a later day brought in reads as unknown.
HIDING = SPEC.model_copy(update={"hidden": {"cat_x": (4,)}})


@pytest.fixture(scope="module")
def torch_model():
    torch.manual_seed(11)
    return Camoe(HIDING, MOMENTS)


@pytest.fixture(scope="module")
def bundle(torch_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "bundle"
    write(folder, torch_model, HIDING)
    return folder


def made_from(schema_hash):
    """A table version whose rows were made from the features of `schema_hash`."""
    return replace(snapshot_of([(0, 0, [5])]), properties={FEATURE_SCHEMA_PROPERTY: schema_hash})


@pytest.mark.parametrize("number", [0, 1, 2, 7, ROWS_AT_ONCE + 5])
def test_predictions_are_the_torch_models_whatever_the_number_of_rows(bundle, torch_model, number):
    rows = rows_of(number)
    found = Scorer(read_model(bundle)).predict(rows)
    head = np.array([1 if slot == "v" else 0 for slot in rows["slot"].to_pylist()], dtype=int)
    expected = by_torch(torch_model, rows)[np.arange(number), head]
    np.testing.assert_allclose(found["p_raw"], expected, atol=1e-6)
    assert found["head"].to_pylist() == ["video" if one else "audio" for one in head]
    assert found["slot"].to_pylist() == rows["slot"].to_pylist()


def test_a_value_that_is_hidden_is_unknown(bundle):
    rows = rows_of(50)
    found = [
        Scorer(read_model(bundle)).predict(rows.set_column(1, "cat_x", pa.array([index] * 50, pa.int32())))["p_raw"]
        for index in (4, UNKNOWN, 3)
    ]
    assert found[0] == found[1] != found[2]
    indices = np.column_stack([rows["cat_x"], rows["cat_y"]]).astype(np.int64)
    strange = np.count_nonzero(np.isin(indices[:, 0], (UNKNOWN, 4)) | (indices[:, 0] >= 6))
    assert unknown_in(indices, np.empty((50, 0), np.int64), read_model(bundle).spec).found["cat_x"] == strange > 0


def test_each_head_has_a_calibration_of_its_own(bundle):
    found = Scorer(read_model(bundle)).predict(rows_of(300)).to_pandas()
    audio, video = found[found["head"] == "audio"], found[found["head"] == "video"]
    logit = np.log(audio["p_raw"] / (1 - audio["p_raw"]))
    np.testing.assert_allclose(audio["p"], 1 / (1 + np.exp(0.4 - 0.7 * logit)), rtol=1e-12)
    np.testing.assert_array_equal(video["p"], video["p_raw"])


def test_an_objective_has_no_row_where_no_head_serves_it(torch_model, tmp_path):
    heads = HeadSet(
        heads=[
            {"name": "all", "objective": "click"},
            {"name": "watched", "objective": "view", "where": {"modality": ["video"]}},
        ]
    )
    spec = SPEC.model_copy(update={"heads": heads})
    calibration = {name: Platt(rows=0, positives=0, reason="none") for name in ("all", "watched")}
    write(tmp_path / "bundle", torch_model, spec, calibration)
    model = read_model(tmp_path / "bundle")
    rows = rows_of(60)
    found = Scorer(model).predict(rows.append_column("impression_id", pa.array(range(60)))).to_pandas()
    clicks, views = found[found["objective"] == "click"], found[found["objective"] == "view"]
    video = np.flatnonzero(np.array(rows["slot"].to_pylist()) == "v")
    assert clicks["impression_id"].tolist() == list(range(60))
    assert views["impression_id"].tolist() == video.tolist()
    np.testing.assert_allclose(views["p_raw"], by_torch(torch_model, rows)[video, 1], atol=1e-6)
    files = [("a", 7), ("v", 5), ("b", 1)]
    snapshot = Snapshot("/t", 0, tuple(DataFile(slot, "m", slot, date.min, (rows,)) for slot, rows in files), {}, ())
    assert expected_predictions(model, snapshot) == 7 + 1 + 2 * 5


@pytest.fixture(scope="module")
def large(torch_model, tmp_path_factory):
    """A bundle whose table is by far the largest part of it, and larger than what the exporter keeps in a graph."""
    folder = tmp_path_factory.mktemp("large") / "bundle"
    spec = SPEC.model_copy(update={"vocabulary_sizes": (LARGE, 9)})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("torch.onnx._internal.exporter._onnx_program._LARGE_MODEL_THRESHOLD", 0)
        write(folder, Camoe(spec, MOMENTS), spec)
    return folder


def test_all_heads_share_one_table_on_disk_and_where_a_model_is_sent(large):
    table = 4 * (LARGE + 9) * SPEC.model.embedding_dim
    assert sum(one.nbytes for one in read_model(large).tables.values()) == table
    assert table < sum(path.stat().st_size for path in large.rglob("*")) < 1.5 * table
    sent = pickle.dumps(read_model(large))
    assert len(sent) < 0.2 * table
    rows = rows_of(50)
    there, here = (Scorer(model).predict(rows) for model in (pickle.loads(sent), read_model(large)))
    assert there.equals(here)


def test_a_table_that_was_changed_before_it_is_mapped_elsewhere_is_refused(large, tmp_path):
    folder = Path(shutil.copytree(large, tmp_path / "copied"))
    sent = pickle.dumps(read_model(folder))
    (folder / names.WEIGHTS).write_bytes((folder / names.WEIGHTS).read_bytes())
    with pytest.raises(BundleError, match=r"weights\.safetensors is not the file that training wrote"):
        pickle.loads(sent)
    (folder / names.WEIGHTS).unlink()
    with pytest.raises(BundleError, match=r"weights\.safetensors cannot be read \(No such file or directory\)"):
        pickle.loads(sent)


def test_a_table_that_is_too_large_for_a_graph_is_scored(large):
    model, rows = read_model(large), rows_of(500)
    trained = Camoe(model.spec, MOMENTS)
    trained.load_state_dict(load_file(large / names.WEIGHTS))
    head = np.array([1 if slot == "v" else 0 for slot in rows["slot"].to_pylist()], dtype=int)
    expected = by_torch(trained, rows)[np.arange(500), head]
    np.testing.assert_allclose(Scorer(model).predict(rows)["p_raw"], expected, atol=1e-6)


def test_a_graph_runs_elsewhere_as_the_folder_lies_on_disk(large):
    rows = rows_of(7).set_column(0, "slot", pa.repeat("v", 7))
    session = onnxruntime.InferenceSession(large / names.graph_name("video"), providers=["CPUExecutionProvider"])
    inputs = graph_inputs(rows, SPEC)
    (p,) = session.run(None, {names.CATEGORICAL: inputs.categorical, names.NUMERIC: inputs.numeric})
    np.testing.assert_array_equal(p, Scorer(read_model(large)).predict(rows)["p_raw"])
    onnx.checker.check_model(large / names.graph_name("video"))


@pytest.mark.parametrize(
    "part", [names.SPEC, names.WEIGHTS, names.CALIBRATION, names.graph_name("video"), "encoder/v1/encoder.json"]
)
def test_a_manifest_that_does_not_vouch_for_a_part_is_refused(bundle, tmp_path, part):
    copied = Path(shutil.copytree(bundle, tmp_path / "copied"))
    manifest = names.read_manifest(copied)
    files = {name: digest for name, digest in manifest.files.items() if name != part}
    names.write_manifest(copied, manifest.model_copy(update={"files": files}))
    with pytest.raises(BundleError, match=rf"is broken: {part} is not listed in its manifest\.json"):
        read_model(copied)


def changed(bundle, folder, change):
    """A copy of the bundle whose weights `change` has changed, and whose manifest vouches for them."""
    copied = Path(shutil.copytree(bundle, folder))
    weights = load_file(copied / names.WEIGHTS)
    change(weights)
    save_file(weights, copied / names.WEIGHTS)
    manifest = names.read_manifest(copied)
    names.write_manifest(copied, manifest.model_copy(update={"files": names.file_hashes(copied)}))
    return copied


def test_weights_that_are_no_numbers_give_an_error_and_no_predictions(bundle, tmp_path):
    broken = changed(bundle, tmp_path / "broken", lambda weights: weights[names.TABLE][3].fill_(float("nan")))
    with pytest.raises(BundleError, match=r"head audio: no number for \d+ of \d+ impressions"):
        Scorer(read_model(broken)).predict(rows_of(300))


@pytest.mark.parametrize("part", ["calibration.json", "head-video.onnx", "weights.safetensors"])
def test_a_bundle_that_is_replaced_while_it_is_loaded_is_refused(bundle, tmp_path, monkeypatch, part):
    """By files of another model, after all were checked: nothing is loaded under a version that is not its own."""
    loaded = Path(shutil.copytree(bundle, tmp_path / "loaded"))
    opened = names.open_bundle(loaded)
    (loaded / part).write_bytes((loaded / part).read_bytes()[::-1])
    monkeypatch.setattr(scorer, "open_bundle", lambda folder: opened)
    with pytest.raises(BundleError, match=f"is broken: {part} is not the file that training wrote"):
        read_model(loaded)


def test_each_file_that_changes_a_prediction_changes_the_version(bundle):
    files = dict(names.read_manifest(bundle).files)
    version = names.identity(files)
    telling = {name for name in files if names.identity({**files, name: "0"}) != version}
    assert files.keys() - telling == {"metrics.json", "config.json", "card.md"}
    assert {"head-audio.onnx", "weights.safetensors", "calibration.json", "encoder/v1/encoder.json"} <= telling


def test_a_bundle_holds_no_file_that_could_run_code(bundle):
    kinds = {path.suffix for path in bundle.rglob("*") if path.is_file()}
    assert kinds == {".json", ".safetensors", ".onnx", ".md", ".parquet"}


@pytest.mark.parametrize("name", [names.WEIGHTS, names.CALIBRATION, "head-video.onnx", "encoder/v1/vocabulary.parquet"])
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


def test_a_table_may_have_more_features_and_lack_none_that_the_model_reads(bundle):
    model, name = read_model(bundle), SPEC.features.declared[0].name
    own, day = definitions(SPEC.features), FIRST_DAY

    def table(**features):
        told = {FEATURES_PROPERTY: json.dumps({**own, **features})}
        return replace(snapshot_of([(0, 0, [5])]), properties=told)

    def built(**features):
        known = {"run_id": "r", "built": NOW, "settings_hash": "s", "input": "raw", "as_of": NOW, "encoder_version": 1}
        return {day: RunRecord(**known, days={day: {}}, features={**own, **features})}

    with pytest.raises(BundleError, match="does not know: s0"):
        require_fit(model, table(more="1"))
    with pytest.raises(BundleError, match=rf"other features than .* has \({name}\)"):
        require_fit(model, table(**{name: "other"}))
    # Days say it for themselves, whatever the table's newest definitions are.
    with pytest.raises(BundleError, match="does not know: s0"):
        require_fit(model, table(**{name: "other"}), built())
    with pytest.raises(BundleError, match=rf"lacks features that model .* reads: {name} on {day}; .*--columns {name}"):
        require_fit(model, table(), built(**{name: "other"}))


def test_a_slot_that_the_model_never_saw_is_refused_by_name(bundle):
    with pytest.raises(BundleError, match="does not know: s0"):
        require_fit(read_model(bundle), made_from(SPEC.features.schema_hash()))


def test_a_vocabulary_that_was_renumbered_is_refused(bundle):
    model = read_model(bundle)
    require_vocabulary(model, Encoder(5, {"x": ("a", "b"), "new": ("c",)}))
    with pytest.raises(BundleError, match="trained with another vocabulary"):
        require_vocabulary(model, Encoder(5, {"x": ("b", "a")}))
