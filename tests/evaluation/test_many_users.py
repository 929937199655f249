"""The memory that an evaluation takes does not grow with its users and campaigns."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from tests.evaluation.run import impressions, write_run
from tests.jobs.commands import run
from tests.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.spark]

CAMPAIGNS = 50_000
JAVA_MB = 2048
PYTHON_MB = 1000
PEAK = f"""
import resource, sys
sys.path.insert(0, {str(ROOT)!r})
from jobs.evaluate import main
main(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def test_a_million_users_and_many_campaigns_are_evaluated_in_the_memory_of_a_small_driver(tmp_path):
    out, users = tmp_path / "out", 1_000_000
    frame = impressions(users, users=10 * users)
    campaigns = [f"c{number % CAMPAIGNS}" for number in range(len(frame))]
    write_run(out, frame.assign(campaign_id=campaigns), truth=True, power=1.1)
    config = yaml.safe_load((out / "run.yaml").read_text())
    del config["evaluation"]
    (out / "run.yaml").write_text(yaml.safe_dump(config))
    (tmp_path / "peak.py").write_text(PEAK)
    submit = ["spark-submit", "--properties-file", "conf/spark/local.conf", "--driver-memory", f"{JAVA_MB}m"]
    said = run([*submit, str(tmp_path / "peak.py"), "--config", str(out / "run.yaml")])
    assert json.loads((out / "counts.json").read_text())["evaluate"]["predictions"] == users
    assert int(re.findall(r"^peak (\d+)$", said, re.MULTILINE)[0]) < PYTHON_MB
