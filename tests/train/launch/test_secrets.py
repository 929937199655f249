"""Secrets of a training run are in nothing that it writes or shows, command lines among it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.paths import ROOT
from tests.train.pipeline import CONFIG, write_pipeline

pytestmark = pytest.mark.horovod

ROWS = {"s0": 331, "s1": 203, "s2": 7}
PLANTED = {
    name: f"planted-{number}-secret" for number, name in enumerate(("key", "password", "option", "address", "aws"))
}
ENVIRONMENT = {
    "ADS_PEPPER": PLANTED["key"],
    "MLFLOW_TRACKING_USERNAME": "ann",
    "MLFLOW_TRACKING_PASSWORD": PLANTED["password"],
    "AWS_SECRET_ACCESS_KEY": PLANTED["aws"],
}
HASHED = {**CONFIG["sources"], "keyed_hash": {"key_env": "ADS_PEPPER", "columns": ["user_id"]}}
OVERRIDES = (
    f"sources.impressions.options={{fs.s3a.secret.key: {PLANTED['option']}, sep: x}}",
    "training.epochs=1",
)
ADDRESS = f"http://ann:{PLANTED['address']}@127.0.0.1:9/?token={PLANTED['address']}"
TRACKING = f"training.tracking={{uri: '{ADDRESS}', experiment: ads}}"


def train(config, *overrides):
    """Train; return how it ended, what it showed, and the command lines and hash keys of all that it started."""
    command = [sys.executable, str(ROOT / "jobs/train.py"), "-np", "2", "--config", str(config), *overrides]
    seen, keys = set(), set()
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT, env=os.environ | ENVIRONMENT
    ) as job:
        while True:
            for child in psutil.Process(job.pid).children(recursive=True):
                try:
                    started = child.cmdline()
                    # Between fork and exec a child has the line and the environment of the job, which are the user's.
                    if started != command:
                        seen.add(" ".join(started))
                        keys.add(child.environ().get("ADS_PEPPER"))
                except psutil.Error:
                    pass
            try:
                shown, _ = job.communicate(timeout=0.05)
                return job.returncode, shown, seen, keys
            except subprocess.TimeoutExpired:
                continue


def holding(texts):
    return [text[:200] for text in texts for secret in PLANTED.values() if secret in text]


def files(folder):
    found = [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".parquet"]
    return [f"{path}: {path.read_bytes().decode(errors='replace')}" for path in found]


@pytest.mark.slow
def test_a_run_writes_and_shows_no_secret(tmp_path):
    config = write_pipeline(tmp_path, ROWS, sources=HASHED)
    code, shown, seen, keys = train(config, *OVERRIDES)
    assert code == 0, shown
    assert any("camoe.train.worker" in line for line in seen)
    assert holding([shown, *seen]) == []
    assert holding(files(tmp_path)) == []
    assert "options={fs.s3a.secret.key: ***, sep: x}" in shown.splitlines()[-1]
    assert '"fs.s3a.secret.key": "***"' in (tmp_path / "out/bundle/config.json").read_text()
    assert keys <= {None}, "the workers do not hash identifiers"


@pytest.mark.slow
def test_a_run_that_fails_shows_no_secret(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    config = write_pipeline(tmp_path, ROWS, sources=HASHED)
    code, shown, seen, _ = train(config, TRACKING)
    assert code == 2, shown
    assert "training.tracking.uri http://127.0.0.1:9/?*** cannot be used" in shown
    assert holding([shown, *seen, *files(tmp_path)]) == []
    assert Path(tmp_path / "out/logs").is_dir()
