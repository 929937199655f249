"""Real two-worker runs whose second worker is killed or stopped: they end with its name and go on exactly."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np
import psutil
import pytest

import camoe
from tests.paths import ROOT
from tests.train.pipeline import write_pipeline
from tests.waiting import wait_until

pytestmark = [pytest.mark.spark, pytest.mark.horovod]

ROWS = {"s0": 331, "s1": 203, "s2": 7}
# Longer than Gloo waits by itself.
STALL_S = 60
# Horovod's launcher waits four times five seconds for a worker that does not run; the rest is for a busy machine.
LAUNCHER_S = 40
ZOMBIE = psutil.STATUS_ZOMBIE
OVERRIDES = ("training.checkpoint.every_steps=5", "model.dropout=0.3")
# Without it the numbers drawn depend on the number of workers.
NO_DROPOUT = "model.dropout=0"
# Python runs this before the worker's own code: it sends one worker a signal, once, when a certain checkpoint is there.
SIGNALLER = """
import glob, os, threading, time
if "SIGNAL" in os.environ and os.environ.get("HOROVOD_RANK") == os.environ["SIGNAL_RANK"]:
    def wait():
        while not glob.glob(os.environ["SIGNAL_WHEN"]):
            time.sleep(0.001)
        open(os.environ["SIGNALLED"], "x").close()
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))
    if not os.path.exists(os.environ["SIGNALLED"]):
        threading.Thread(target=wait, daemon=True).start()
"""


SUBMIT = ("spark-submit", "--properties-file", "conf/spark/local.conf")


def job(config, *options, by=(sys.executable,)):
    return [*by, str(ROOT / "jobs/train.py"), "-np", "2", "--config", str(config), *OVERRIDES, *options]


def train(config, *options, env=None, by=(sys.executable,)):
    environment = os.environ | (env or {})
    command = job(config, *options, by=by)
    return subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, cwd=ROOT, env=environment)


def signalled(folder, number, rank=1, part=""):
    """Return the environment by which a worker gets signal `number` in epoch one, after the checkpoint of ten steps.

    Of the run's first part, or of the one whose checkpoints have `part` in their names.
    """
    (folder / "signalled").unlink(missing_ok=True)
    (folder / "site").mkdir(exist_ok=True)
    (folder / "site/sitecustomize.py").write_text(SIGNALLER)
    path = os.pathsep.join(filter(None, [str(folder / "site"), os.environ.get("PYTHONPATH")]))
    return {
        "PYTHONPATH": path,
        "SIGNAL": str(int(number)),
        "SIGNAL_RANK": str(rank),
        "SIGNALLED": str(folder / "signalled"),
        "SIGNAL_WHEN": str(folder / f"out/checkpoints/*{part}-epoch0000-step00000010"),
    }


def losses(folder):
    return [epoch["losses"] for epoch in json.loads((folder / "out/bundle/metrics.json").read_text())["epochs"]]


def forget_bundles(folder):
    (folder / "out/bundle").unlink()
    shutil.rmtree(folder / "out/bundles")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("resume")


@pytest.fixture(scope="module")
def config(folder):
    return write_pipeline(folder, ROWS)


@pytest.fixture(scope="module")
def whole(folder, config):
    """A run that nothing happened to: its losses and its weights."""
    done = train(config)
    assert done.returncode == 0, done.stdout + done.stderr
    assert not (folder / "out/checkpoints").exists()
    result = losses(folder), (folder / "out/bundle/weights.safetensors").read_bytes()
    forget_bundles(folder)
    return result


@pytest.mark.slow
def test_a_killed_worker_ends_the_run_by_name_and_the_run_goes_on_bit_for_bit(folder, config, whole):
    done = train(config, env=signalled(folder, signal.SIGKILL))
    assert done.returncode == 2, done.stdout + done.stderr
    assert "error: worker 1 was killed by SIGKILL" in done.stderr
    assert not (folder / "out/bundle").exists()
    again = train(config, "--resume")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "train: goes on at epoch 1, step 1" in again.stdout
    assert losses(folder) == whole[0]
    assert (folder / "out/bundle/weights.safetensors").read_bytes() == whole[1]
    assert not (folder / "out/checkpoints").exists()


@pytest.mark.slow
def test_an_ensemble_with_a_refit_goes_on_in_the_part_that_was_broken_off(folder, config):
    """Two members, then two refits, in the third of which a worker is killed."""
    options = ("training.ensemble=2", "training.refit=true", "training.epochs=1")
    assert train(config, *options).returncode == 0
    weights = (folder / "out/bundle/weights.safetensors").read_bytes()
    metrics = json.loads((folder / "out/bundle/metrics.json").read_text())
    forget_bundles(folder)
    done = train(config, *options, env=signalled(folder, signal.SIGKILL, part="-part03"))
    assert done.returncode == 2, done.stdout + done.stderr
    again = train(config, *options, "--resume")
    assert again.returncode == 0, again.stdout + again.stderr
    assert re.search(r"train: continues|; continues \S+-part03-epoch0000-step000000\d\d at epoch 1", again.stdout)
    assert (folder / "out/bundle/weights.safetensors").read_bytes() == weights
    assert not (folder / "out/checkpoints").exists()
    rows, (first, *_), (second,) = sum(ROWS.values()), metrics["epochs"], metrics["members"]
    assert first["rows"] == second["epochs"][0]["rows"] == 2 * rows
    assert [sum(epoch["rows"] for epoch in refit["epochs"]) for refit in metrics["refit"]] == [3 * rows] * 2
    assert "from which these weights learned, too" in (folder / "out/bundle/card.md").read_text()
    predicted = camoe.load(folder / "out/bundle").model
    assert predicted.spec.members == len(predicted.tables) == 2
    forget_bundles(folder)


@pytest.fixture(scope="module")
def undropped(folder, config):
    """The losses of a run of two workers that nothing happened to, without dropout."""
    done = train(config, NO_DROPOUT)
    assert done.returncode == 0, done.stdout + done.stderr
    result = losses(folder)
    forget_bundles(folder)
    return result


def require_the_same_run(folder, expected, workers=1):
    """Check the run that other `workers` ended: the same losses but for the order of sums, and every row once."""
    metrics = json.loads((folder / "out/bundle/metrics.json").read_text())
    assert metrics["workers"] == workers
    for found, wanted in zip(losses(folder), expected, strict=True):
        np.testing.assert_allclose(found, wanted, rtol=1e-10)
    assert [epoch["rows"] for epoch in metrics["epochs"]] == [2 * sum(ROWS.values())] * 2
    forget_bundles(folder)


@pytest.mark.slow
def test_a_stopped_worker_is_named_in_time_and_the_others_go_on_from_the_checkpoint(folder, config, undropped):
    """Also with the batch of the first attempt, where that had so many rows for each of its workers."""
    grown = ("training.batch_size=null", "training.worker_batch_size=32")
    options = ("--retries", "1", NO_DROPOUT, f"training.stall_timeout_s={STALL_S}", *grown)
    done = train(config, *options, env=signalled(folder, signal.SIGSTOP))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"worker 0 waited more than {STALL_S} s at step 11 of epoch 1: it waits for worker 1 (at " in done.stdout
    assert "attempt 2 of 2 with 1 worker\n" in done.stdout
    assert "train: goes on at epoch 1, step 11" in done.stdout
    require_the_same_run(folder, undropped)


@pytest.mark.slow
def test_a_single_worker_that_is_stopped_is_ended_and_goes_on_from_the_checkpoint(folder, config, undropped):
    options = ("-np", "1", "--retries", "1", NO_DROPOUT, "training.stall_timeout_s=20")
    done = train(config, *options, env=signalled(folder, signal.SIGSTOP, rank=0))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(
        r"worker 0 waited more than 20 s at .*: it did not run, and was ended; .* attempt 2 of 2", done.stdout
    )
    assert "train: goes on at epoch 1, step 11" in done.stdout
    require_the_same_run(folder, undropped)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after"), [(2, 1), (1, 2)])
def test_a_killed_run_goes_on_with_another_number_of_workers(folder, config, undropped, before, after):
    killed = signalled(folder, signal.SIGKILL, rank=before - 1)
    done = train(config, "-np", str(before), NO_DROPOUT, env=killed)
    assert done.returncode == 2, done.stdout + done.stderr
    again = train(config, "-np", str(after), "--resume", NO_DROPOUT)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "train: goes on at epoch 1, step 1" in again.stdout
    require_the_same_run(folder, undropped, after)


def processes_with(config):
    """List the launcher and the workers that were given `config`, without those that ended and were not waited for."""
    found = psutil.process_iter(["cmdline", "status"])
    return [one for one in found if str(config) in " ".join(one.info["cmdline"] or ()) and one.info["status"] != ZOMBIE]


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=lambda number: number.name)
def test_workers_end_with_the_job_that_started_them_and_the_run_goes_on(folder, config, undropped, number):
    """Also the one that is stopped, for which the others would wait much longer."""
    environment = os.environ | signalled(folder, signal.SIGSTOP)
    with subprocess.Popen(job(config, NO_DROPOUT), cwd=ROOT, env=environment) as started:
        wait_until((folder / "signalled").exists)
        # The job, Horovod's launcher and the workers.
        assert len(processes_with(config)) >= 4
        started.send_signal(number)
    wait_until(lambda: not processes_with(config), LAUNCHER_S)
    again = train(config, "--resume", NO_DROPOUT)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "train: goes on at epoch 1, step 1" in again.stdout
    require_the_same_run(folder, undropped, 2)


@pytest.mark.slow
def test_the_host_whose_worker_was_lost_is_left_out_of_the_next_attempt(folder, config, undropped):
    """Two names of this machine, which Horovod's launcher takes for two hosts."""
    options = ("-H", "localhost:1,127.0.0.1:1", "--retries", "1", NO_DROPOUT)
    done = train(config, *options, env=signalled(folder, signal.SIGKILL, rank=0))
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(r"worker 0 was killed by SIGKILL\b.*; attempt 2 of 2 with 1 worker on 127.0.0.1:1\n", done.stdout)
    assert "train: goes on at epoch 1, step 1" in done.stdout
    require_the_same_run(folder, undropped)


@pytest.mark.slow
def test_mlflow_has_one_run_of_a_training_that_was_killed_and_went_on(folder, config, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    client = mlflow.MlflowClient((folder / "mlruns").as_uri())
    tracking = f"training.tracking={{uri: '{client.tracking_uri}', experiment: slots}}"

    def only_run():
        (run,) = client.search_runs([client.get_experiment_by_name("slots").experiment_id])
        return run

    done = train(config, tracking, env=signalled(folder, signal.SIGKILL, rank=0))
    assert done.returncode == 2, done.stdout + done.stderr
    assert only_run().info.status == "FAILED"
    again = train(config, "--resume", tracking)
    assert again.returncode == 0, again.stdout + again.stderr
    run, bundle = only_run(), folder / "out/bundle"
    assert run.info.status == "FINISHED"
    metrics, manifest = (json.loads((bundle / f"{name}.json").read_text()) for name in ("metrics", "manifest"))
    assert run.data.tags["model_version"] == manifest["model_version"]
    (used,) = run.inputs.dataset_inputs
    assert used.dataset.digest == manifest["snapshot_hash"]
    final = {
        f"final_ne/{row['head']}": row["ne"]
        for row in metrics["validation"]
        if (row["group_kind"], row["predictor"]) == ("head", "model")
    }
    assert final.items() <= run.data.metrics.items()
    assert set(final) == {"final_ne/audio", "final_ne/video"}
    forget_bundles(folder)


@pytest.mark.slow
def test_what_a_worker_inside_a_spark_job_explains_is_not_tried_again(folder, config):
    options = ("--launcher", "spark", "--retries", "1", "training.learning_rate=1e200", "training.warmup_steps=0")
    done = train(config, *options, by=SUBMIT)
    assert done.returncode == 2, done.stdout + done.stderr
    # spark-submit puts what a Python program says on stderr into its stdout.
    assert "\nerror: the loss is nan at step " in done.stdout
    assert "attempt 2 of 2" not in done.stdout
    shutil.rmtree(folder / "out/checkpoints", ignore_errors=True)


@pytest.mark.slow
def test_a_worker_killed_inside_a_spark_job_is_named_and_the_others_go_on(folder, config, undropped):
    options = ("--launcher", "spark", "--retries", "1", NO_DROPOUT)
    done = train(config, *options, env=signalled(folder, signal.SIGKILL), by=SUBMIT)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "\ntrain: epoch 2 done " in done.stdout
    assert re.search(r"worker 1 was killed by SIGKILL, last seen at .+ \(training .+; attempt 2 of 2", done.stdout)
    require_the_same_run(folder, undropped)
