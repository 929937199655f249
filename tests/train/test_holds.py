"""One training at a time uses an output folder."""

from __future__ import annotations

import subprocess
import sys

import pytest

from camoe.contracts.places.leases import RUNNING, holder_of
from camoe.contracts.runs import lock_of
from camoe.train.holds import TRAINING
from tests.paths import ROOT
from tests.train.job import train
from tests.train.pipeline import write_pipeline
from tests.waiting import wait_until

pytestmark = pytest.mark.horovod

ROWS = {"s0": 331, "s1": 203, "s2": 7}


@pytest.mark.slow
def test_a_second_training_in_one_folder_is_refused_by_name_and_the_first_goes_on(tmp_path):
    config = write_pipeline(tmp_path, ROWS)
    lease, log = lock_of(tmp_path / "out/runs", TRAINING), tmp_path / "out/logs/train_workers.log"
    command = [sys.executable, ROOT / "jobs/train.py", "-np", "2", "--config", config]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT) as first:
        wait_until(lambda: log.exists() and log.stat().st_size)
        holder, state = holder_of(lease)
        assert (holder.pid, state) == (first.pid, RUNNING)
        for more in ((), ("--resume",)):
            second = train(config, 2, *more, code=2)
            assert second.stderr.startswith(
                f"error: another training in {tmp_path / 'out'} is at work (process {first.pid} "
            )
            assert second.stdout == ""
        by_hand = [sys.executable, "-m", "camoe.train.worker", "--config", config]
        done = subprocess.run(by_hand, capture_output=True, text=True, check=False, cwd=ROOT)
        assert (done.returncode, "is at work" in done.stderr) == (2, True), done.stderr
        shown, _ = first.communicate()
    assert first.returncode == 0, shown
    assert not lease.exists()
