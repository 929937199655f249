"""The real training job over real Horovod processes."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import torch
from deltalake import DeltaTable
from safetensors.numpy import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

import camoe
from camoe.bundle.code_version import code_version
from camoe.bundle.manifest import read_manifest
from camoe.bundle.settings import CONFIG as CONFIG_FILE
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.places.leases import RUNNING
from camoe.contracts.places.pins import read_pins
from camoe.contracts.snapshot import pin
from camoe.score.local import score_snapshot
from camoe.train.checkpoint.checkpoint import Checkpoints
from camoe.train.checkpoint.folder import newest, run_of
from camoe.train.checkpoint.resume import resume_point
from camoe.train.checkpoint.state import read_run_state
from jobs.train import main
from tests.jobs.in_process import run_main
from tests.paths import ROOT
from tests.score.pipeline import DAYS
from tests.train.calibrated import require_calibrated
from tests.train.fitting import fitted, fresh_learner
from tests.train.job import train
from tests.train.pipeline import CONFIG, write_pipeline
from tests.waiting import wait_until

pytestmark = pytest.mark.horovod

# Row counts that no number of workers divides; the video slot has fewer rows than there are steps.
ROWS = {"s0": 331, "s1": 203, "s2": 7}
OBJECTIVES = ("click", "completion")
HEADS = (*CONFIG["heads"]["heads"], {"name": "finish", "objective": "completion", "where": {"slot": ["s1"]}})
NAMES = [head["name"] for head in HEADS]
WATCH_EVERY = 4


def two_objectives(folder):
    """Write a pipeline of clicks in every slot by modality, and completions in one slot."""
    log = CONFIG["sources"]["impressions"] | {"labels": {name: name for name in OBJECTIVES}}
    sources = {"impressions": log, "objectives": {name: {} for name in OBJECTIVES}}
    # Quick enough for predictions that tell rows apart, so that there is something to calibrate.
    rates = {"learning_rate": 0.02, "embedding_learning_rate": 0.1}
    training = CONFIG["training"] | rates | {"watch_every_steps": WATCH_EVERY}
    return write_pipeline(folder, ROWS, heads={"heads": HEADS}, sources=sources, training=training)


def scored(bundle, table):
    """Predict the validation and test rows in this one process, by objective and impression."""
    rows = pa.concat_tables(score_snapshot(camoe.load(bundle).model, pin(table), DAYS))
    return rows.to_pandas().set_index(["objective", "impression_id"]).sort_index()


def predictions(bundle, table):
    """Return their `p_raw` and `p` alone."""
    return scored(bundle, table)[["p_raw", "p"]]


def metrics(out):
    return json.loads((out / "bundle/metrics.json").read_text())


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The same pipeline trained by one and by two workers: their bundles, with logs and what was said beside them."""
    folder = tmp_path_factory.mktemp("runs")
    config = two_objectives(folder)
    outs = {}
    for workers in (1, 2):
        done = train(config, workers)
        (folder / "out/bundle").resolve().rename(folder / f"bundle-{workers}")
        (folder / "out/logs").rename(folder / f"logs-{workers}")
        (folder / f"said-{workers}").write_text(done.stdout)
        outs[workers] = folder / f"bundle-{workers}"
    return outs


def test_one_and_two_workers_have_the_same_loss_curve(runs):
    one, two = (json.loads((runs[workers] / "metrics.json").read_text()) for workers in (1, 2))
    assert (one["workers"], two["workers"]) == (1, 2)
    for first, second in zip(one["epochs"], two["epochs"], strict=True):
        np.testing.assert_allclose(first["losses"], second["losses"], rtol=1e-10)
        np.testing.assert_allclose(first["validation_ne"], second["validation_ne"], rtol=1e-9)


def test_one_and_two_workers_end_with_the_same_weights(runs):
    one, two = (load_file(runs[workers] / "weights.safetensors") for workers in (1, 2))
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_allclose(one[name], two[name], rtol=1e-6, atol=1e-7)


def test_the_bundles_of_one_and_two_workers_predict_alike(runs):
    one, two = (predictions(runs[workers], runs[workers].parent / "out/training") for workers in (1, 2))
    assert list(one.index) == list(two.index)
    assert one["p_raw"].std() > 0.01
    np.testing.assert_allclose(two, one, rtol=0, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(("trained", "loaded"), [(1, 2), (2, 1)])
def test_a_bundle_is_the_same_model_under_another_number_of_workers(runs, tmp_path, trained, loaded):
    """One step at next to no learning rate: what is written again is what was loaded."""
    config = two_objectives(tmp_path)
    still = ("training.steps=1", "training.learning_rate=1e-12", "training.embedding_learning_rate=1e-12")
    train(config, loaded, f"training.warm_start={runs[trained]}", *still)
    assert metrics(tmp_path / "out")["workers"] == loaded
    found, expected = (
        predictions(bundle, tmp_path / "out/training") for bundle in (tmp_path / "out/bundle", runs[trained])
    )
    assert list(found.index) == list(expected.index)
    np.testing.assert_allclose(found["p_raw"], expected["p_raw"], rtol=0, atol=1e-6)


def test_each_objective_is_predicted_in_the_slots_of_its_heads(runs):
    found = scored(runs[2], runs[2].parent / "out/training").reset_index()
    by_objective = found.groupby(["objective", "slot", "head"])["p_raw"].agg(["size", "std"])
    assert by_objective["size"].to_dict() == {
        ("click", "s0", "audio"): len(DAYS) * ROWS["s0"],
        ("click", "s1", "audio"): len(DAYS) * ROWS["s1"],
        ("click", "s2", "video"): len(DAYS) * ROWS["s2"],
        ("completion", "s1", "finish"): len(DAYS) * ROWS["s1"],
    }
    assert (by_objective["std"] > 0.001).all()
    both = found[found["slot"] == "s1"].pivot(index="impression_id", columns="objective", values="p_raw")
    assert (both["click"] != both["completion"]).all()


def figures(run):
    """Read all scalars of the run's TensorBoard files: by name, values by step."""
    (folder,) = (run.parent / run.name.replace("bundle", "logs") / "tensorboard").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    return {name: {event.step: event.value for event in events.Scalars(name)} for name in events.Tags()["scalars"]}


def test_tensorboard_has_each_figure_of_the_steps_that_were_looked_at(runs):
    one, two = figures(runs[1]), figures(runs[2])
    by_head = [f"loss/{name}" for name in NAMES], [f"gate/{name}/expert_{e}" for name in NAMES for e in (0, 1)]
    speed = {"speed/rows_per_s", "speed/step_ms", "wait/data", "wait/others"}
    assert two.keys() == {
        "loss/all",
        "gradients/norm",
        *by_head[0],
        *by_head[1],
        *speed,
        *(f"validation_ne/{name}" for name in NAMES),
        "validation_score",
    }
    epochs = json.loads((runs[2] / "metrics.json").read_text())["epochs"]
    losses, steps = [loss for epoch in epochs for loss in epoch["losses"]], len(epochs[0]["losses"])
    looked_at = [step for step in range(2 * steps) if step % steps % WATCH_EVERY == 0]
    assert two["loss/all"] == {step + 1: pytest.approx(losses[step], rel=1e-6) for step in looked_at}
    for step, loss in two["loss/all"].items():
        # Each head's loss has weight one; one without a row in the step has none.
        assert sum(two[name].get(step, 0.0) for name in by_head[0]) == pytest.approx(loss, rel=1e-5)
    for name in ("audio", "finish"):
        ends = {steps * (epoch + 1): result["validation_ne"][NAMES.index(name)] for epoch, result in enumerate(epochs)}
        assert two[f"validation_ne/{name}"] == pytest.approx(ends, rel=1e-6)
        shares = zip(*(two[f"gate/{name}/expert_{expert}"].values() for expert in (0, 1)), strict=True)
        assert [sum(pair) for pair in shares] == pytest.approx([1.0] * len(looked_at), rel=1e-6)
    for name in (*by_head[0], *by_head[1]):
        assert one[name] == pytest.approx(two[name], rel=1e-5)
    assert all(value > 0 for value in (*two["speed/rows_per_s"].values(), *two["speed/step_ms"].values()))


@pytest.mark.parametrize("workers", [1, 2])
def test_the_line_of_an_epoch_tells_speed_waiting_and_each_head(runs, workers):
    said = (runs[workers].parent / f"said-{workers}").read_text()
    epochs = json.loads((runs[workers] / "metrics.json").read_text())["epochs"]
    number, share = r"[\d,]+(\.\d+)?", r"\d+\.\d%"
    for epoch in epochs:
        steps = len(epoch["losses"])
        (line,) = (part for part in said.splitlines() if f"epoch {epoch['epoch']}  step {steps}/{steps}" in part)
        heads = "  ".join(rf"{name} (?P<{name}>\d\.\d{{3}}|nan) \[(\d+ \d+|nan nan)\]" for name in NAMES)
        pattern = (
            rf"train: epoch \d  step \d+/\d+  {number} rows/s  \d+ s left  loss {epoch['losses'][-1]:.4f}  "
            rf"{number} ms/step  data wait {share}  others {share}  {heads}"
        )
        found = re.fullmatch(pattern, line)
        assert found, line
        by_head = np.array([found[name] for name in NAMES], dtype=float)
        assert np.nansum(by_head) == pytest.approx(epoch["losses"][-1], abs=0.002)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_bundle_has_the_configuration_and_the_code_that_it_was_trained_with(runs, workers):
    written = Config.model_validate_json((runs[workers] / CONFIG_FILE).read_bytes())
    manifest = read_manifest(runs[workers])
    assert written == load(runs[workers].parent / "pipeline.yaml", Config)
    assert manifest.config_hash == written.content_hash()
    assert CONFIG_FILE in manifest.files
    assert manifest.code_version == code_version()


@pytest.mark.parametrize("workers", [1, 2])
def test_the_models_size_is_printed(runs, workers):
    said = (runs[workers].parent / f"said-{workers}").read_text()
    found = re.search(r"^train: .+, 3 heads, ([\d,]+) embedding parameters and ([\d,]+) others$", said, re.MULTILINE)
    weights = load_file(runs[workers] / "weights.safetensors")
    embedding, rest = (int(number.replace(",", "")) for number in found.groups())
    assert embedding == weights["embedding.table.weight"].size
    assert embedding + rest == json.loads((runs[workers] / "metrics.json").read_text())["parameters"]


@pytest.mark.parametrize("workers", [1, 2])
def test_calibration_and_metrics_are_those_of_the_validation_days_predictions(runs, workers):
    config = load(runs[workers].parent / "pipeline.yaml", Config)
    # The video head has too few rows there for two parameters.
    assert require_calibrated(config, runs[workers]) == {"audio": True, "video": False, "finish": True}


def test_training_learns(runs):
    losses = json.loads((runs[1] / "metrics.json").read_text())["epochs"][-1]["losses"]
    first = json.loads((runs[1] / "metrics.json").read_text())["epochs"][0]["losses"]
    assert np.mean(losses) < np.mean(first)


def test_every_epoch_trains_exactly_the_rows_of_the_plan(runs):
    for workers in (1, 2):
        epochs = json.loads((runs[workers] / "metrics.json").read_text())["epochs"]
        assert {epoch["rows"] for epoch in epochs} == {2 * sum(ROWS.values())}


@pytest.mark.slow
def test_an_epoch_over_shares_repeats_the_smaller_modality(tmp_path):
    """The audio slots have 1068 rows on the training days, and the video slot's 14 come as often."""
    config = write_pipeline(tmp_path, ROWS)
    mixing = "training.stream.mixing={by: modality, of: {audio: 1, video: 1}}"
    train(config, 2, mixing, "training.epochs=1")
    assert [epoch["rows"] for epoch in metrics(tmp_path / "out")["epochs"]] == [2 * 1068]


def test_each_epoch_has_a_hash_that_all_workers_agreed_on(runs):
    hashes = [epoch["weights_hash"] for epoch in json.loads((runs[2] / "metrics.json").read_text())["epochs"]]
    assert all(len(digest) == 64 for digest in hashes)
    assert len(set(hashes)) == len(hashes)


@pytest.mark.slow
def test_workers_train_on_the_version_that_was_pinned_before_they_started(tmp_path):
    config = write_pipeline(tmp_path, ROWS)
    table, pins = DeltaTable(str(tmp_path / "out/training")), tmp_path / "out/pins"
    version = table.version()
    job = subprocess.Popen(
        [sys.executable, ROOT / "jobs/train.py", "-np", "1", "--config", config, "training.epochs=1"], cwd=ROOT
    )
    try:
        wait_until(lambda: read_pins(pins) or job.poll() is not None)
        (pin,) = read_pins(pins)
        assert (pin.version, pin.job, pin.state()) == (version, "train", RUNNING)
        table.alter.set_table_properties({"later": "yes"}, raise_if_not_exists=False)
        assert job.wait(timeout=300) == 0
    finally:
        job.kill()
    manifest = json.loads((tmp_path / "out/bundle/manifest.json").read_text())
    assert manifest["table_version"] == version < DeltaTable(table.table_uri).version()
    assert read_pins(pins) == ()


@pytest.mark.slow
def test_a_run_by_hand_with_horovodrun_works(tmp_path):
    config = write_pipeline(tmp_path, ROWS)
    grown = ["training.batch_size=null", "training.worker_batch_size=32", "training.learning_rate_scaling=linear"]
    launcher = [sys.executable, "-m", "camoe.train.launch.horovodrun", "--gloo", "-np", "2"]
    command = [*launcher, sys.executable, "-m", "camoe.train.worker", "--config", str(config)]
    done = subprocess.run([*command, *grown], capture_output=True, text=True, timeout=300, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert metrics(tmp_path / "out")["workers"] == 2
    assert "train: 2 workers x 32 rows, rates x 2.00\n" in done.stdout
    _, alone = fitted(load(config, Config, ["training.learning_rate=0.002", "training.embedding_learning_rate=0.04"]))
    for found, expected in zip(metrics(tmp_path / "out")["epochs"], alone.epochs, strict=True):
        np.testing.assert_allclose(found["losses"], expected.losses, rtol=1e-10)
    assert "train: bundle" in done.stdout
    assert "FutureWarning" not in done.stderr + done.stdout


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("training.nonsense=1", "'training.nonsense': unknown key"),
        ("days.test={first: 2026-01-02, last: 2026-01-02}", "training days must lie before validation days"),
        ("days.train={first: 2025-12-31, last: 2026-01-02}", "has no rows on 2025-12-31"),
        ("features.numeric=[]", "was made from feature schema"),
        ("out=/nowhere", "no Delta table at /nowhere/training"),
        ("training.batch_size=[1", "override training.batch_size: '[1' is no YAML value"),
        (
            "slots={slots: [{id: s2, name: B, modality: video}, {id: s0, name: A, modality: audio}]}",
            "was built with the slots s0:audio,s1:audio,s2:video",
        ),
    ],
)
def test_bad_input_gives_one_message_and_no_bundle(tmp_path, capfd, override, message):
    config = write_pipeline(tmp_path, ROWS)
    assert run_main(main, config, override) == 2
    said = capfd.readouterr().err
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out/bundle").exists()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_ends_the_job_with_its_step_and_rows_and_the_checkpoint_before_stays(tmp_path):
    config = write_pipeline(tmp_path, ROWS)
    overrides = ["training.learning_rate=1e200", "training.warmup_steps=0", "training.checkpoint.every_steps=1"]
    done = train(config, 2, *overrides, "training.batch_size=null", "training.worker_batch_size=32", code=2)
    assert "2 workers x 32 rows, rates x 1.00; starts" in done.stdout
    found = re.search(
        r"the loss is nan at step (\d+) of epoch 1; its batch of 64 rows begins with (.*?); ", done.stderr
    )
    step, first = int(found[1]), found[2]
    named = next((tmp_path / "out/logs").glob("batch-*.tsv"))
    assert f"all are named in {named}" in done.stderr
    _, *rows = (line.split("\t") for line in named.read_text().splitlines())
    assert len(rows) == 64
    file, group, row = rows[0]
    assert first == f"{file}, row group {group}, row {row}"
    assert all((tmp_path / "out/training" / file).is_file() for file, _, _ in rows)
    assert not (tmp_path / "out/bundle").exists()
    assert read_pins(tmp_path / "out/pins") == ()
    require_resumable(load(config, Config, overrides), step - 1)


def require_resumable(config, steps):
    """Check that the newest checkpoint is that of `steps` steps, and that a model takes what it holds."""
    last = newest(config.layout.checkpoints)
    assert resume_point(config.layout.checkpoints, resume=True, table_version=None).run == run_of(last)
    train_step, _ = fresh_learner(config)
    kept = Checkpoints(config.layout.checkpoints, run_of(last), read_run_state(last).settings, 1)
    assert kept.restore(last, train_step.model, train_step.optimisers).steps == steps
    assert all(bool(torch.isfinite(weight).all()) for weight in train_step.model.parameters())
