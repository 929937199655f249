"""The scoring job as a user starts it, where it refuses."""

from __future__ import annotations

import subprocess
import sys
from datetime import date, timedelta

from camoe.contracts.runs import EntityState, write_record
from tests.paths import ROOT
from tests.score.pipeline import write_scorable
from tests.train.pipeline import RUN, record

LATER = "20260107T000000000000Z"
BUILT_AGAIN = date(2026, 1, 2)


def build_again(pipeline):
    """As if a later run had built one training day again, from other rows of the users."""
    config = pipeline.config
    runs = {RUN: ("as it was", timedelta(0)), LATER: ("corrected", timedelta(days=1))}
    first = record(config, {})
    for run, (text, later) in runs.items():
        users = EntityState(fingerprints={BUILT_AGAIN: text}, reach_days=None)
        write_record(
            first.model_copy(update={"run_id": run, "built": first.built + later, "entities": {"user": users}}),
            config.layout.runs,
        )
    log = config.layout.training / "_delta_log/00000000000000000000.json"
    lines = log.read_text().splitlines()
    log.write_text("\n".join(line.replace(RUN, LATER) if f"date={BUILT_AGAIN}" in line else line for line in lines))


def test_stale_days_are_not_scored(tmp_path):
    pipeline = write_scorable(tmp_path)
    job = [sys.executable, ROOT / "jobs/score.py", "--local", "--config", pipeline.path]
    assert subprocess.run(job, capture_output=True, check=False, cwd=ROOT).returncode == 0
    version = sorted((pipeline.config.layout.predictions / "_delta_log").iterdir())
    build_again(pipeline)
    done = subprocess.run(job, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"stale days 2026-01-04 (user changed before 2026-01-02 was built again by run {LATER})" in done.stderr
    assert "rebuild them with jobs/build_features.py --days 2026-01-04 --as-of 2026-01-06" in done.stderr
    assert sorted((pipeline.config.layout.predictions / "_delta_log").iterdir()) == version
