"""Jobs over what is damaged or full: one message with what, where and what to do, and nothing half done."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import contextmanager

import pytest

from camoe.contracts.snapshot import is_delta_table
from jobs import evaluate, maintain, score, train
from tests.disk import FULL, small_disk
from tests.jobs.commands import spark_job
from tests.jobs.in_process import run_main
from tests.score.pipeline import write_scorable


def local(argv):
    score.main(["--local", *argv])


def command(name):
    return lambda argv: maintain.main([name, *argv])


JOBS = {
    "train": train.main,
    "score": local,
    "evaluate": evaluate.main,
    "orphans": command("orphans"),
    "vacuum": command("vacuum"),
    "pins": command("pins"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A pipeline whose days are scored, with a pin of a job that was killed and the checkpoint of another."""
    folder = tmp_path_factory.mktemp("whole")
    made = write_scorable(folder)
    local(["--config", str(made.path)])
    out = folder / "out"
    (out / "pins").mkdir(exist_ok=True)
    (out / "pins/train-h-1-0.json").write_text(
        '{"pin_id": "train-h-1-0", "table": "training", "version": 0, "job": "train", "host": "h", "pid": 1,'
        ' "since": "2026-01-06T00:00:00Z", "why": "w"}'
    )
    checkpoint = out / "checkpoints/20260101T000000000000Z-epoch0000-step00000000"
    checkpoint.mkdir(parents=True)
    (checkpoint / "state.json").write_text("{}")
    return folder


@pytest.fixture
def config(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "copy", symlinks=True)
    path = tmp_path / "copy/pipeline.yaml"
    path.write_text(path.read_text().replace(str(whole), str(path.parent)))
    return path


def everything(folder):
    """Content of all files, but for locks and logs, which a job may touch before it refuses."""
    files = (path for path in folder.rglob("*") if path.is_file() and "logs" not in path.parts)
    return {path: path.read_bytes() for path in files if not path.name.endswith(".lock")}


def run(name, config, capfd, *arguments):
    """Run a job that has to refuse; returns the one line that it says."""
    capfd.readouterr()
    assert run_main(JOBS[name], config, *arguments) == 2
    lines = capfd.readouterr().err.splitlines()
    assert len(lines) == 1, lines
    assert lines[0].startswith("error: ")
    return lines[0]


DAMAGES = {
    "counts": ("out/counts.json", "is damaged"),
    "record": ("out/runs/first.json", "is damaged"),
    "pin": ("out/pins/train-h-1-0.json", "is damaged"),
    "spec": ("out/bundle/model.json", "is not the file that training wrote"),
    "manifest": ("out/bundle/manifest.json", "is damaged"),
    "metrics": ("out/bundle/metrics.json", "is damaged"),
    "weights": ("out/bundle/weights.safetensors", "is not the file that training wrote"),
    "graph": ("out/bundle/head-video.onnx", "is not the file that training wrote"),
    "checkpoint": ("out/checkpoints/20260101T000000000000Z-epoch0000-step00000000/state.json", "cannot be read"),
    "encoder": ("out/encoder/v1/encoder.json", "is damaged"),
}
# What each job reads of these.
READS = {
    "train": {"counts", "record", "encoder"},
    "score": {"counts", "record", "spec", "manifest", "weights", "graph", "encoder"},
    "evaluate": {"counts", "manifest", "metrics"},
    "orphans": {"counts"},
    "vacuum": {"counts", "pin", "manifest", "checkpoint"},
    "pins": {"counts", "pin"},
}


@pytest.mark.parametrize("content", [b"", b'{"half": ', b"\xff\xfe\x00\x01"], ids=["empty", "half", "not UTF-8"])
@pytest.mark.parametrize(("name", "damage"), [(name, damage) for name in JOBS for damage in sorted(READS[name])])
def test_a_damaged_file_is_named_with_what_to_do_and_nothing_is_done(config, capfd, name, damage, content):
    path, how = config.parent / DAMAGES[damage][0], DAMAGES[damage][1]
    path.write_bytes(content)
    before = everything(config.parent)
    said = run(name, config, capfd)
    assert path.name in said or str(path.parent) in said
    assert how in said
    assert "; " in said
    assert everything(config.parent) == before


@pytest.mark.parametrize(
    ("name", "damage"), [("train", "counts"), ("orphans", "counts"), ("score", "record"), ("score", "graph")]
)
def test_a_folder_in_the_place_of_a_file_is_named(config, capfd, name, damage):
    path = config.parent / DAMAGES[damage][0]
    path.unlink()
    path.mkdir()
    said = run(name, config, capfd)
    assert path.name in said
    assert "Is a directory; a file is meant there: remove or rename the folder, then: " in said or "is missing" in said


YAMLS = {
    "not UTF-8": b"out: \xff\xfe",
    "deep": b"out: " + b"[" * 5000,
    "nested aliases": b"a: &a [x, x]\nb: &b [*a, *a]\nout: [*b",
    "no mapping": b"- out",
    "control characters": b"out: \x00\x07",
}


@pytest.mark.parametrize("content", YAMLS)
@pytest.mark.parametrize("name", JOBS)
def test_a_configuration_that_is_none_is_named(tmp_path, capfd, name, content):
    path = tmp_path / "broken.yaml"
    path.write_bytes(YAMLS[content])
    assert str(path) in run(name, path, capfd)


@contextmanager
def read_only(folder):
    """`folder` on a file system that takes no writes."""
    bound = ["mount", "--bind", str(folder), str(folder)], ["mount", "-o", "remount,bind,ro", str(folder)]
    if any(subprocess.run(command, capture_output=True, check=False).returncode for command in bound):
        pytest.skip("needs the right to mount")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("name", ["train", "score"])
def test_an_output_folder_that_takes_no_writes_is_named(config, capfd, name):
    shutil.rmtree(config.parent / "out/checkpoints")
    with read_only(config.parent / "out"):
        said = run(name, config, capfd)
    assert str(config.parent / "out") in said
    assert "Read-only file system; choose a folder that can be written to" in said


def test_a_full_disk_leaves_predictions_as_they_were(config, tmp_path, capfd):
    out = config.parent / "out"
    with small_disk(tmp_path / "disk") as disk:
        shutil.copytree(out / "predictions", disk / "predictions")
        shutil.rmtree(out / "predictions")
        (out / "predictions").symlink_to(disk / "predictions")
        before = everything(disk)
        with (disk / "filler").open("wb") as filler:
            filler.write(b"x" * shutil.disk_usage(disk).free)
        assert run_main(local, config) == 2
        # On a full disk delta-rs tells its own story first.
        said = capfd.readouterr().err.splitlines()[-1]
        (disk / "filler").unlink()
        assert everything(disk) == before
    assert "No space left" in said
    assert "make room there" in said


@pytest.mark.slow
@pytest.mark.spark
def test_a_full_disk_leaves_no_lake_and_no_training_table(tmp_path):
    lake = tmp_path / "lake"
    spark_job("make_lake", f"out={lake}", "impressions=3000")
    with small_disk(tmp_path / "disk") as disk:
        jobs = {"make_lake": ["impressions=30000"], "build_features": [f"input={lake / 'raw'}"]}
        for name, arguments in jobs.items():
            said = spark_job(name, f"out={disk / 'out'}", *arguments, code=2)
            (line,) = [line for line in said.splitlines() if line.startswith("error: ")]
            assert any(how in line for how in FULL)
            assert "make room there" in line or "allow larger files" in line
            assert "Traceback" not in said
            assert not is_delta_table(disk / "out/training")
            assert not (disk / "out/raw").exists()
            shutil.rmtree(disk / "out")
