"""Measures the exchange of the embeddings' gradients: as rows against as a whole table.

python -m bench.exchange  [--rounds 15]    bytes and seconds for three vocabularies, one and two real workers

Each worker has its own batch of 4096 rows and 26 columns, whose indices are uniform: the most distinct rows there
can be, so the worst case for the exchange of rows. Bytes are what a worker handles in one step: all workers' rows
where rows are gathered, the table there and back where a ring sums it. The crossover is the number of workers, each
with such a batch, at which the rows' bytes reach the table's. Where the global batch is held instead, more workers
have fewer rows each, and the rows' bytes do not grow. The last line is one JSON object; ratios above 1 are better
for the rows.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import horovod.torch as hvd
import torch
from torch import Tensor

from camoe.train.distributed.gradients import Exchange, exchange_rows, merge_rows
from camoe.train.launch.process import WORKER_ENVIRONMENT

VOCABULARIES = (26_000, 1_000_000, 2_600_000)
WORKERS = (1, 2)
BATCH, COLUMNS, DIM = 4096, 26, 16
ROW_BYTES = DIM * 4 + 4


def exchange_dense(gradient: Tensor, name: str) -> Callable[[], Tensor]:
    """Sum the whole table over the workers: the cost follows the vocabulary, not the number of workers.

    A row whose sum is zero is left out, as if nobody had read it.
    """
    summed = hvd.allreduce_async(gradient.to_dense().cpu(), op=hvd.Sum, name=name)

    def total() -> Tensor:
        whole = hvd.synchronize(summed).to(gradient.device)
        rows = whole.any(dim=1).nonzero().squeeze(1)
        indices = rows.unsqueeze(0)
        return torch.sparse_coo_tensor(indices, whole[rows], gradient.shape, is_coalesced=True, check_invariants=False)

    return total


EXCHANGES: Mapping[str, Exchange] = {"rows": exchange_rows, "dense": exchange_dense}
Figures = dict[str, float]


def gradient(vocabulary: int, rank: int) -> Tensor:
    """Return a worker's sparse gradient of one table, merged."""
    generator = torch.Generator().manual_seed(rank)
    size = vocabulary // COLUMNS
    lookups = torch.randint(0, size, (BATCH, COLUMNS), generator=generator) + torch.arange(COLUMNS) * size
    values = torch.randn(BATCH * COLUMNS, DIM, generator=generator)
    shape = (vocabulary, DIM)
    return merge_rows(torch.sparse_coo_tensor(lookups.view(1, -1), values, shape, check_invariants=False))


def as_worker(rounds: int, out: Path) -> None:
    """Time both exchanges in turn, all workers starting together; the first worker writes the medians."""
    hvd.init()
    torch.set_num_threads(1)
    figures: Figures = {}
    for vocabulary in VOCABULARIES:
        own = gradient(vocabulary, hvd.rank())
        taken: dict[str, list[float]] = {way: [] for way in EXCHANGES}
        for number in range(rounds + 1):
            for way, exchange in EXCHANGES.items():
                hvd.barrier()
                started = time.perf_counter()
                exchange(own, f"{vocabulary}_{way}")()
                if number:  # The first round meets cold memory.
                    taken[way].append(time.perf_counter() - started)
        counts = hvd.allgather_object(own.values().shape[0], name=f"{vocabulary}_counts")
        figures[f"{vocabulary}_distinct_rows"] = statistics.mean(counts)
        for way, seconds in taken.items():
            figures[f"{vocabulary}_{way}_s"] = statistics.median(seconds)
    if hvd.rank() == 0:
        out.write_text(json.dumps(figures))


def measured(workers: int, rounds: int) -> Figures:
    """Return what `workers` real workers found."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "figures.json"
        launcher = [str(Path(sys.executable).with_name("horovodrun")), "--gloo", "-np", str(workers)]
        worker = [sys.executable, "-m", "bench.exchange", "--worker", str(out), "--rounds", str(rounds)]
        subprocess.run([*launcher, *worker], check=True, env=WORKER_ENVIRONMENT | os.environ)
        found: Figures = json.loads(out.read_text())
        return found


def compared(rounds: int) -> tuple[Figures, Figures]:
    """Measure all vocabularies and numbers of workers: figures and ratios, printed as they come."""
    figures: Figures = {}
    ratios: Figures = {}
    for workers in WORKERS:
        found = measured(workers, rounds)
        for vocabulary in VOCABULARIES:
            distinct, case = found[f"{vocabulary}_distinct_rows"], f"{vocabulary}_{workers}_workers"
            size = {"rows": workers * distinct * ROW_BYTES, "dense": 2.0 * vocabulary * DIM * 4}
            for way in EXCHANGES:
                seconds = found[f"{vocabulary}_{way}_s"]
                figures |= {f"{case}_{way}_bytes": size[way], f"{case}_{way}_s": seconds}
                print(f"{case:18s} {way:5s} {size[way] / 1e6:8.2f} MB {seconds * 1e3:8.1f} ms", flush=True)
            ratios[f"{case}_bytes"] = size["dense"] / size["rows"]
            ratios[f"{case}_seconds"] = figures[f"{case}_dense_s"] / figures[f"{case}_rows_s"]
            figures[f"{vocabulary}_crossover_workers"] = size["dense"] / (distinct * ROW_BYTES)
    for vocabulary in VOCABULARIES:
        crossover = figures[f"{vocabulary}_crossover_workers"]
        print(f"{vocabulary:>9} rows  the rows' bytes reach the table's at {crossover:.1f} workers")
    return figures, ratios


def main(argv: Iterable[str]) -> None:
    """Measure, or be one of the workers that are measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args(list(argv))
    if chosen.worker:
        as_worker(chosen.rounds, chosen.worker)
        return
    figures, ratios = compared(chosen.rounds)
    config = {"batch": BATCH, "columns": COLUMNS, "dim": DIM, "vocabularies": VOCABULARIES, "workers": WORKERS}
    rounded = {name: round(value, 5) for name, value in figures.items()}
    line = {"bench": "exchange", "config": config | {"rounds": chosen.rounds}, "figures": rounded}
    print(json.dumps(line | {"ratios": {name: round(value, 3) for name, value in ratios.items()}}))


if __name__ == "__main__":
    main(sys.argv[1:])
