"""Stages that end together each leave their counts."""

from __future__ import annotations

import json
import subprocess
import sys

from camoe.contracts.places import counts

TIMES = 40
STAGES = ("features", "train", "score")
RECORD = """
import sys
from pathlib import Path
from camoe.contracts.places import counts
sys.stdin.read()
for number in range(int(sys.argv[3])):
    counts.record(Path(sys.argv[1]), f"{sys.argv[2]}-{number}", {"rows": number})
"""


def test_stages_that_end_at_the_same_time_lose_no_counts(tmp_path):
    path = tmp_path / "out/counts.json"
    jobs = [
        subprocess.Popen([sys.executable, "-c", RECORD, str(path), stage, str(TIMES)], stdin=subprocess.PIPE)
        for stage in STAGES
    ]
    for job in jobs:
        job.stdin.close()
    assert [job.wait() for job in jobs] == [0] * len(STAGES)
    expected = {f"{stage}-{number}": {"rows": number} for stage in STAGES for number in range(TIMES)}
    assert json.loads(path.read_text()) == expected
    assert counts.recorded(path, "train-7") == {"rows": 7}
    assert [item.name for item in path.parent.iterdir()] == ["counts.json"]
