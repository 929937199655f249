"""The examples run as their docstrings say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
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


def test_the_tables_of_kuairand_are_those_of_the_published_logs(tmp_path):
    day_ms, begin_ms = 86_400_000, 1_650_816_000_000  # 25 April, midnight in China
    rows = [(7, video, begin_ms - (60 - video) * day_ms // 10, video % 9 == 0, video % 2) for video in range(60)]
    rows += [(7, 99, begin_ms, 1, 1), (8, 5, begin_ms - 1, 0, 0), (8, 5, begin_ms - 1, 0, 0)]
    log = pd.DataFrame(rows, columns=["user_id", "video_id", "time_ms", "is_like", "long_view"]).astype(int)
    log["date"] = [20220424 if time < begin_ms else 20220425 for time in log["time_ms"]]
    log.iloc[:30].to_csv(tmp_path / "log_standard_4_08_to_4_21_pure.csv", index=False)
    log.iloc[30:].to_csv(tmp_path / "log_standard_4_22_to_5_08_pure.csv", index=False)
    command = [sys.executable, ROOT / "docs/examples/kuairand.py", tmp_path]
    assert "2 users" in subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert pq.read_table(tmp_path / "log_standard_20220425_20220430_pure.parquet")["video_id"].to_pylist() == [99]
    first, second = pq.read_table(tmp_path / "user_sequences_before_20220425.parquet").to_pylist()
    assert (first["user_id"], first["history_len"]) == (7, 60)
    assert first["watch_seq"] == list(range(10, 60))
    assert first["like_seq"] == list(range(0, 60, 9))
    assert first["long_watch_seq"] == list(range(1, 60, 2))
    assert second == {
        "user_id": 8, "history_len": 1, "last_time_ms": begin_ms - 1,
        "watch_seq": [5], "like_seq": [], "long_watch_seq": [],
    }  # fmt: skip
