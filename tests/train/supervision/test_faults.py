"""A worker that is killed or stopped, whatever it does at the time, ends the job in time and is named."""

from __future__ import annotations

import math
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import pytest

from camoe.train.launch.silence import LAUNCH_S, PATIENCE
from tests.paths import ROOT
from tests.train.pipeline import CONFIG, write_pipeline

pytestmark = pytest.mark.horovod

ROWS = {"s0": 331, "s1": 203, "s2": 7}
SHORTEST_TIMEOUT_S = 10
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
    watched = False

    def find_spec(self, name, path, target=None):
        if self.watched:
            hit(f"loading {name}")
        if name != "camoe.train.supervision.watchdog" or self.watched:
            return None
        self.watched = True
        spec = importlib.util.find_spec(name)
        load = spec.loader.exec_module
        spec.loader.exec_module = lambda module: (load(module), patch(module.Watchdog))
        return spec

def patch(watchdog):
    beat, alive, leave = watchdog.beat, watchdog.alive, watchdog.__exit__
    watchdog.beat = lambda self, phase: (beat(self, phase), hit(phase))
    watchdog.alive = lambda self, phase: (alive(self, phase), hit(phase))
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


@dataclass(frozen=True)
class Fault:
    """Where a worker is hit, a pattern of what it does then, and which one: the first where only that one works."""

    place: str
    victim: int


PHASES = {
    "starting": Fault("begun", 1),
    "loading": Fault("loading horovod", 1),
    "joining": Fault("joining the other workers", 1),
    "fitting treatments": Fault("fitting the numerics' treatments to .*", 1),
    "adding up quantiles": Fault("adding up quantile_digit_1", 1),
    "training": Fault("step 6 of epoch 1", 1),
    "validation": Fault("step 3 of validation", 1),
    "checkpoint": Fault("writing a checkpoint", 0),
    "calibration": Fault("step 3 of the calibration", 1),
    "bundle": Fault("writing the bundle", 0),
    "last barrier": Fault("waiting for the bundle", 1),
    "leaving": Fault("leaving the other workers", 1),
    "after the watch": Fault("ended", 1),
}


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    numeric = {"name": "tenure", "sql": "tenure", "transform": "quantile"}
    features = {**CONFIG["features"], "numeric": [numeric]}
    training = {**CONFIG["training"], "epochs": 1}
    return write_pipeline(tmp_path_factory.mktemp("faults"), ROWS, features=features, training=training)


def train(config, timeout_s, environment, workers=2):
    for left in ("bundle", "checkpoints", "logs"):
        shutil.rmtree(config.parent / "out" / left, ignore_errors=True)
    limit = f"training.stall_timeout_s={timeout_s}"
    command = [sys.executable, ROOT / "jobs/train.py", "-np", str(workers), "--config", config, limit]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=900, check=False, cwd=ROOT, env=os.environ | environment
    )


@pytest.fixture(scope="module")
def timeout_s(config):
    """Half of what a run takes to which nothing happens, so that no phase is taken for a hang on a busy machine."""
    began = time.monotonic()
    done = train(config, 300, {})
    assert done.returncode == 0, done.stdout + done.stderr
    return max(SHORTEST_TIMEOUT_S, math.ceil((time.monotonic() - began) / 2))


def hit(config, tmp_path, timeout_s, number, fault, workers=2):
    """Train, and send the victim of `fault` the signal `number` at its place."""
    (tmp_path / "sitecustomize.py").write_text(SIGNALLER)
    mark = tmp_path / "hit"
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH")]))
    environment = {"SIGNAL": str(int(number)), "PLACE": fault.place, "VICTIM": str(fault.victim)}
    done = train(config, timeout_s, environment | {"HIT": str(mark), "PYTHONPATH": path}, workers)
    ended = time.time()
    assert mark.exists(), done.stdout + done.stderr
    print(timeout_s, fault.place, number.name, done.stderr, ended - mark.stat().st_mtime)
    return Ended(done.returncode, done.stderr, ended - mark.stat().st_mtime)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP], ids=lambda number: number.name)
@pytest.mark.parametrize("phase", PHASES)
def test_a_worker_that_dies_or_hangs_in_any_phase_ends_the_job_in_time_and_is_named(
    config, tmp_path, timeout_s, phase, number
):
    place, victim = PHASES[phase].place, PHASES[phase].victim
    ended = hit(config, tmp_path, timeout_s, number, PHASES[phase])
    assert ended.code == 2, ended
    if number == signal.SIGKILL:
        assert f"error: worker {victim} was killed by SIGKILL" in ended.error
        assert ended.seconds < WATCH_S + LAUNCHER_S
    else:
        assert re.search(
            rf"^error: worker (.*waits for worker {victim} \(|(.*worker )?{victim} (waited more|had not begun))",
            ended.error,
        )
        # After the watch only the launcher sees it.
        patience_s = PATIENCE * timeout_s if place == "ended" else 0
        # The time counts from the last step that any worker began: at first the others' come after the signal.
        start_s = LAUNCH_S if place == "begun" else 0
        assert ended.seconds < timeout_s + patience_s + start_s + WATCH_S + LAUNCHER_S


@pytest.mark.slow
@pytest.mark.parametrize(
    ("place", "error", "launch_s"),
    [
        ("begun", "worker 0 had not begun", LAUNCH_S),
        ("loading horovod", "worker 0 waited more", 0),
        ("ended", "worker 0 waited more than .* at ending", 0),
    ],
)
def test_a_worker_that_hangs_with_nobody_to_see_it_ends_the_job_in_time(
    config, tmp_path, timeout_s, place, error, launch_s
):
    ended = hit(config, tmp_path, timeout_s, signal.SIGSTOP, Fault(place, 0), workers=1)
    assert ended.code == 2, ended
    assert re.search(f"^error: {error}", ended.error), ended
    assert ended.seconds < timeout_s * (1 + PATIENCE) + launch_s + WATCH_S + LAUNCHER_S
