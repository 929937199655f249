"""The examples run as their docstrings say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import camoe
from tests.score.pipeline import ROWS, write_scorable

ROOT = Path(__file__).resolve().parents[2]
DAYS = 4


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return write_scorable(tmp_path_factory.mktemp("scorable"))


def run(name, *arguments):
    command = [sys.executable, ROOT / "examples" / name, *map(str, arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_raw_values_are_scored_as_the_library_scores_them(pipeline, tmp_path):
    table = pa.table(
        {"impression_id": ["i1", "i2", "i3"], "slot": ["s0", "s1", "s2"], "genre": ["a", None, "new"],
         "tenure": [3.0, None, 40.0]}
    )  # fmt: skip
    pq.write_table(table, tmp_path / "rows.parquet")
    said = run("score_arrow_table.py", pipeline.bundle, tmp_path / "rows.parquet", tmp_path / "scored.parquet", "--raw")
    assert said.startswith("3 predictions of 3 impressions, mean p 0.")
    predictor = camoe.load(pipeline.bundle)
    assert pq.read_table(tmp_path / "scored.parquet").equals(predictor.predict(predictor.encode(table)))


def test_each_epoch_of_the_own_loop_has_every_row_and_the_loss_falls(pipeline):
    table = pipeline.config.layout.training
    said = run("stream_into_own_loop.py", table, "--epochs", "3", "--batch-size", "64")
    epochs = re.findall(r"^epoch \d: (\d+) rows, \d+ with a label, loss (\S+)$", said, re.MULTILINE)
    assert [int(rows) for rows, _ in epochs] == [DAYS * sum(ROWS.values())] * 3
    losses = [float(loss) for _, loss in epochs]
    assert losses == sorted(losses, reverse=True)
    assert losses[-1] < 0.65
