"""Python workers of a host that score with one model hold its embedding table once between them."""

from __future__ import annotations

import pickle
import subprocess
import sys
from contextlib import ExitStack

import numpy as np
import pytest
import torch

from camoe.model.camoe import Camoe
from camoe.score.scorer import read_model
from tests.model.specs import MOMENTS, SPEC
from tests.paths import ROOT
from tests.score.small import write

pytestmark = [pytest.mark.bundle, pytest.mark.slow]

WORKERS, FEW, MANY, WIDTH = 4, 1_000, 5_000_000, 16
MOST_TABLES = 1.3
# Scores as many rows, with ids of the whole table, and says its part of the memory: of shared pages an equal one.
WORKER = """
import pickle, sys
import numpy as np, pyarrow as pa
from camoe.score.scorer import Scorer
model = pickle.load(open(sys.argv[1], "rb"))
scorer, size = Scorer(model), int(sys.argv[2])
for part in range(2):
    # Of each page of the table some row.
    ids = ((np.arange(65536) * 2 + part) * max(size // 131072, 1) % size).astype(np.int32)
    text = {"slot": pa.repeat("a", len(ids)), "cat_x": ids, "cat_y": ids % 9}
    scorer.predict(pa.table({**text, "num_u": np.zeros(len(ids)), "num_w": np.zeros(len(ids))}))
print("ready", flush=True)
sys.stdin.readline()
lines = open("/proc/self/smaps_rollup").read().splitlines()
print(next(line.split()[1] for line in lines if line.startswith("Pss:")), flush=True)
sys.stdin.readline()
"""


def together_kib(folder, size):
    torch.manual_seed(1)
    config = SPEC.model.model_copy(update={"embedding_dim": WIDTH})
    spec = SPEC.model_copy(update={"vocabulary_sizes": (size, 9), "model": config})
    write(folder / "bundle", Camoe(spec, MOMENTS), spec)
    sent = folder / "sent"
    sent.write_bytes(pickle.dumps(read_model(folder / "bundle")))
    command = [sys.executable, "-c", WORKER, sent, str(size)]
    pipe = subprocess.PIPE
    with ExitStack() as stack:
        workers = [
            stack.enter_context(subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, cwd=ROOT))
            for _ in range(WORKERS)
        ]
        for worker in workers:
            assert worker.stdout.readline() == "ready\n"
        for worker in workers:
            worker.stdin.write("\n")
            worker.stdin.flush()
        found = [int(worker.stdout.readline()) for worker in workers]
        for worker in workers:
            worker.stdin.close()
    return sum(found)


def test_four_workers_hold_one_table(tmp_path):
    (tmp_path / "few").mkdir()
    (tmp_path / "many").mkdir()
    few, many = together_kib(tmp_path / "few", FEW), together_kib(tmp_path / "many", MANY)
    tables = (many - few) / (MANY * WIDTH * np.dtype(np.float32).itemsize / 1024)
    print(f"{tables:.2f} tables")
    assert tables < MOST_TABLES
