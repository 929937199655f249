"""Two scoring jobs at once: one wins, and the other says so in a line."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from delta.exceptions import ConcurrentAppendException, ProtocolChangedException

from camoe.contracts.places.alone import days_alone, one_line
from camoe.contracts.runs import RunError
from camoe.evaluation.keep import CONFLICTS
from camoe.score.delta import predictions_by_slot, replace_predictions
from camoe.score.local import score_snapshot
from camoe.score.scorer import read_model
from tests.paths import ROOT
from tests.score.pipeline import DAYS, ROWS, write_scorable

pytestmark = pytest.mark.bundle


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory):
    return write_scorable(tmp_path_factory.mktemp("alone"))


def test_a_day_is_scored_by_one_job_at_a_time_with_one_model(pipeline):
    version = read_model(pipeline.bundle).manifest.model_version
    job = [
        sys.executable,
        ROOT / "jobs/score.py",
        "--local",
        "--config",
        pipeline.path,
        "--days",
        "2026-01-03..2026-01-04",
    ]
    with days_alone(pipeline.config.layout.runs, version, DAYS[:1]):
        with days_alone(pipeline.config.layout.runs, "another", DAYS):
            pass
        done = subprocess.run(job, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2
    assert done.stderr.startswith(f"error: another scoring of {DAYS[0]} with model {version} is at work (process ")
    assert not pipeline.config.layout.predictions.exists()


def test_what_spark_raises_when_another_commit_came_first_is_told_in_a_line(tmp_path):
    for kind in (ConcurrentAppendException, ProtocolChangedException):
        with pytest.raises(RunError, match=r"at the same moment \(\[X\] first\)"), one_line(CONFLICTS, tmp_path):
            raise kind("[X] first\nsecond")


def test_of_two_that_make_the_table_at_once_none_is_lost_and_of_two_of_a_day_one_says_so(pipeline, tmp_path):
    model, both = read_model(pipeline.bundle), Barrier(2)
    version = model.manifest.model_version

    def write(day):
        tables = list(score_snapshot(model, pipeline.snapshot, [day]))
        both.wait()
        try:
            now = datetime(2026, 1, 6, tzinfo=UTC)
            replace_predictions(tables, pipeline.snapshot, tmp_path / "p", [day], version, scored_at=now)
        except RunError as error:
            return str(error)
        return None

    def at_once(*days):
        with ThreadPoolExecutor(2) as pool:
            return list(pool.map(write, days))

    for days in (DAYS, (DAYS[0], DAYS[0])):
        said = [text for text in at_once(*days) if text is not None]
        assert len(said) <= 1
        assert all("at the same moment" in text and "\n" not in text for text in said)
        found = predictions_by_slot(tmp_path / "p", DAYS, version)
        assert all(found[slot] in {rows, 2 * rows} for slot, rows in ROWS.items())
