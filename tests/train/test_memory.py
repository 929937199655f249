"""A worker's memory, in embedding tables: the weights, one for the optimiser, and one for what is read or written."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.paths import ROOT
from tests.train.pipeline import CONFIG, write_pipeline

pytestmark = [pytest.mark.horovod, pytest.mark.bundle, pytest.mark.slow]

TRAIN = """
import resource, sys
from pathlib import Path
from camoe.bundle.write import Origin, write_bundle
from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.train.data.training_inputs import open_training_inputs
from tests.score.pipeline import CALIBRATION, METRICS
from tests.train.fitting import fitted, wide

config, rows = load(Path(sys.argv[1]), Config), int(sys.argv[2])
inputs = open_training_inputs(config)
start = next(iter(sorted(config.layout.checkpoints.glob("*")))) if "resume" in sys.argv else None
train_step, history = fitted(config, start, vocabulary=rows)
assert history.best_place.epoch < history.epoch, "so that the best weights are read again"
train_step.optimisers.release()
spec = wide(config, inputs.encoder, rows)
origin = Origin(inputs.train, inputs.encoder, config)
write_bundle(config.layout.bundle, train_step.model, spec, origin, METRICS, calibration=CALIBRATION, keep=1)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
# Few rows at high rates, as in test_fit: the model soon knows them by heart, and the best epoch is not the last.
HOT = {"epochs": 5, "learning_rate": 0.05, "embedding_learning_rate": 0.5, "warmup_steps": 0, "dtype": "float32"}
ROWS = {"s0": 60, "s1": 40, "s2": 30}
FEW, MANY, WIDTH = 1_000, 4_000_000, 16
MOST_TABLES = 3
# The allocator's slack, in tables of 256 MB.
SLACK = 0.2


def peak_kib(config, rows, *more):
    command = [sys.executable, "-W", "ignore", "-c", TRAIN, config, str(rows), *more]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    return int(done.stdout.split()[-1])


def test_training_takes_no_more_memory_than_three_embedding_tables(tmp_path):
    training, model = {**CONFIG["training"], **HOT}, {**CONFIG["model"], "embedding_dim": WIDTH}
    config = write_pipeline(tmp_path, ROWS, training=training, model=model)
    few, many, again = (peak_kib(config, *how) for how in ((FEW,), (MANY,), (MANY, "resume")))
    table = MANY * WIDTH * 4 / 1024
    print(f"{(many - few) / table:.2f} and, continued, {(again - few) / table:.2f} tables")
    assert many - few < (MOST_TABLES + SLACK) * table
    assert again - few < (MOST_TABLES + SLACK) * table
