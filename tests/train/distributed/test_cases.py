"""Two real workers learn what one learns, however losses are normalised and whatever heads learn from."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.paths import ROOT
from tests.train.distributed.case_worker import CASES, learned
from tests.train.pipeline import CONFIG, write_pipeline

pytestmark = pytest.mark.horovod

# The video slot has fewer rows than there are steps.
ROWS, VIDEO = {"s0": 131, "s1": 83, "s2": 5}, 1


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    training = CONFIG["training"] | {"batch_size": 32, "epochs": 1}
    return write_pipeline(tmp_path_factory.mktemp("cases"), ROWS, training=training)


@pytest.fixture(scope="module")
def pair(path, tmp_path_factory):
    """The folder in which two workers wrote down what they had after each case."""
    folder = tmp_path_factory.mktemp("pair")
    launcher = str(Path(sys.executable).with_name("horovodrun"))
    module = [sys.executable, "-m", "tests.train.distributed.case_worker", str(path), str(folder)]
    done = subprocess.run(
        [launcher, "--gloo", "-np", "2", *module], capture_output=True, text=True, timeout=300, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.mark.parametrize("case", CASES)
def test_two_workers_learn_what_one_learns(path, pair, case):
    alone = learned(path, CASES[case])
    for rank in (0, 1):
        found = np.load(pair / f"{list(CASES).index(case)}-{rank}.npz")
        assert set(found) == set(alone)
        for name, expected in alone.items():
            np.testing.assert_allclose(found[name], expected, rtol=1e-8, atol=1e-11, err_msg=f"{name} of worker {rank}")


def test_the_cases_differ(pair):
    weights = {np.load(pair / f"{number}-0.npz")["losses"].tobytes() for number in range(len(CASES))}
    assert len(weights) == len(CASES)


def test_a_head_is_absent_from_one_worker_in_some_steps_and_from_both_in_others(pair):
    first, second = (np.load(pair / f"presence-{rank}.npy")[:, VIDEO] for rank in (0, 1))
    assert ((first == 0) != (second == 0)).any()
    assert ((first == 0) & (second == 0)).any()
