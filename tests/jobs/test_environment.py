"""The chain of jobs in an environment as containers and other countries have it."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from camoe.contracts.snapshot import pin
from tests.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.spark, pytest.mark.horovod]

SUBMIT = ["spark-submit", "--properties-file", "conf/spark/local.conf"]
CHAIN = (
    [*SUBMIT, "jobs/make_lake.py", "impressions=3000"],
    [*SUBMIT, "jobs/build_features.py"],
    [sys.executable, "jobs/train.py", "-np", "1", "training.epochs=1"],
    [*SUBMIT, "jobs/score.py"],
    [*SUBMIT, "jobs/evaluate.py"],
)
# No home, and none that could be made; a locale without UTF-8, or letters of a country; nothing for others.
UMASK = 0o077
ENVIRONMENTS = {
    "C": {"HOME": "/proc/none", "LC_ALL": "C"},
    "Turkish": {"HOME": "/proc/none", "SPARK_SUBMIT_OPTS": "-Duser.language=tr -Duser.country=TR"},
}


@pytest.mark.parametrize("kind", ENVIRONMENTS)
def test_the_chain_needs_no_home_and_no_locale_and_follows_the_umask(tmp_path, kind):
    out = tmp_path / "ö ut"
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**plain, "PATH": path, "PYSPARK_PYTHON": sys.executable, **ENVIRONMENTS[kind]}
    for command in CHAIN:
        done = subprocess.run(
            [*command, f"out={out}"],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=False, umask=UMASK,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert [path.name for path in tmp_path.iterdir()] == [out.name]
    counts = json.loads((out / "counts.json").read_text())
    assert counts["score"]["rows_scored"] == pin(out / "predictions").rows
    assert counts["evaluate"]["predictions"] == counts["score"]["rows_scored"] > 0
    rights = {path: stat.S_IMODE(path.stat().st_mode) for path in (out, *out.rglob("*")) if not path.is_symlink()}
    wrong = {
        path: oct(found) for path, found in rights.items() if found != (0o777 if path.is_dir() else 0o666) & ~UMASK
    }
    assert not wrong
