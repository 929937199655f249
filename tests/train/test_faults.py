"""A worker that is killed or stopped, whatever it does at the time, ends the job in time and is named."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from tests.conftest import ROOT
from tests.train.pipeline import CONFIG, write_pipeline

ROWS = {"s0": 331, "s1": 203, "s2": 7}
TIMEOUT_S = 20
# What docs/training.md states: the watch's time to look, and the launcher's to end the others.
WATCH_S, LAUNCHER_S = 5, 10
# One worker gets a signal when it is about to do what `PLACE` says, or has left the watch ("ended"), or as soon as its
# interpreter runs ("begun"). Python runs this before the worker's own code.
SIGNALLER = """
import importlib.util, os, re, sys

def hit(place):
    if re.fullmatch(os.environ["PLACE"], place) and not os.path.exists(os.environ["HIT"]):
        open(os.environ["HIT"], "x").close()
        os.kill(os.getpid(), int(os.environ["SIGNAL"]))

class Finder:
    def find_spec(self, name, path, target=None):
        if name != "camoe.train.watchdog":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (load(module), patch(module.Watchdog))
        return spec

def patch(watchdog):
    beat, alive, leave = watchdog.beat, watchdog.alive, watchdog.__exit__
    watchdog.beat = lambda self, doing: (beat(self, doing), hit(doing))
    watchdog.alive = lambda self, doing: (alive(self, doing), hit(doing))
    watchdog.__exit__ = lambda self, *error: (leave(self, *error), hit("ended"))[0]

if "PLACE" in os.environ and os.environ.get("HOROVOD_RANK") == os.environ["VICTIM"]:
    hit("begun")
    sys.meta_path.insert(0, Finder())
"""


@dataclass(frozen=True)
class Ended:
    """How a run ended, and how many seconds after the signal."""

    code: int
    error: str
    seconds: float


# The phase, and the worker that is hit: the first one where only that one works.
PHASES = {
    "starting": ("begun", 1),
    "loading": ("loading horovod", 1),
    "joining": ("joining the other workers", 1),
    "fitting treatments": ("fitting the numerics' treatments to .*", 1),
    "adding up quantiles": ("adding up quantile_digit_1", 1),
    "training": ("step 6 of epoch 1", 1),
    "validation": ("step 3 of validation", 1),
    "checkpoint": ("writing a checkpoint", 0),
    "calibration": ("step 3 of the calibration", 1),
    "bundle": ("writing the bundle", 0),
    "last barrier": ("waiting for the bundle", 1),
    "leaving": ("leaving the other workers", 1),
    "after the watch": ("ended", 1),
}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    numeric = {"name": "tenure", "sql": "tenure", "transform": "quantile"}
    features = {**CONFIG["features"], "numeric": [numeric]}
    training = {**CONFIG["training"], "epochs": 1}
    return write_pipeline(tmp_path_factory.mktemp("faults"), ROWS, features=features, training=training)


def hit(config, tmp_path, number, place, victim, workers=2):
    """Train, and send the worker `victim` the signal `number` at `place`."""
    (tmp_path / "sitecustomize.py").write_text(SIGNALLER)
    mark = tmp_path / "hit"
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    fault = {"SIGNAL": str(int(number)), "PLACE": place, "VICTIM": str(victim), "HIT": str(mark)}
    for left in ("bundle", "checkpoints", "logs"):
        shutil.rmtree(config.parent / "out" / left, ignore_errors=True)
    limit = f"training.stall_timeout_s={TIMEOUT_S}"
    command = [sys.executable, ROOT / "jobs/train.py", "-np", str(workers), "--config", config, limit]
    environment = os.environ | fault | {"PYTHONPATH": path}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False, cwd=ROOT, env=environment)
    ended = time.time()
    assert mark.exists(), done.stdout + done.stderr
    return Ended(done.returncode, done.stderr, ended - mark.stat().st_mtime)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=lambda number: number.name)
@pytest.mark.parametrize("phase", PHASES)
def test_a_worker_that_dies_or_hangs_in_any_phase_ends_the_job_in_time_and_is_named(config, tmp_path, phase, number):
    place, victim = PHASES[phase]
    ended = hit(config, tmp_path, number, place, victim)
    print(phase, number.name, ended)
    assert ended.code == 2, ended
    if number == signal.SIGKILL:
        assert f"error: worker {victim} was killed by SIGKILL" in ended.error
        assert ended.seconds < LAUNCHER_S + WATCH_S
    else:
        assert re.search(rf"^error: worker .*(waits for worker {victim} \(|worker {victim} waited more)", ended.error)
        assert ended.seconds < TIMEOUT_S + WATCH_S + LAUNCHER_S
