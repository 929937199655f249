"""Measures the stream. The last line each command prints is one JSON object; ratios above 1 are better for us.

python -m bench.stream plan                        planning a billion rows: seconds and memory
python -m bench.stream quality                     how well batches are mixed, against a full shuffle
python -m bench.stream speed  [--cache FOLDER]     rows per second into tensors, side by side with other ways
python -m bench.stream growth [--cache FOLDER]     cost per row from 0.2 million to 20 million rows
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

import pandas  # noqa: F401  # pyarrow imports it at the first conversion, which takes a second
import torch

from bench import stream_contenders as contenders
from bench.page_cache import forget, read_once, resident
from bench.processes import ROOT, Worker, interpreter_of
from bench.stream_quality import autocorrelation, counts_by, fully_shuffled
from bench.stream_table import COLUMNS, snapshot_of, table_of
from camoe.contracts.snapshot import Snapshot
from camoe.stream.describe import describe
from camoe.stream.planning.mixing import Mixing, Shares
from camoe.stream.planning.plan import make_plan
from camoe.stream.planning.quota import Counts
from camoe.stream.planning.split import split, walk
from camoe.stream.planning.world import World
from camoe.stream.reading.buffers import Buffers
from camoe.stream.reading.columns import SLOT_ID, UNKNOWN_LABEL
from camoe.train.launch.process import WORKER_ENVIRONMENT

Figures = dict[str, float]
HALVES = Shares(by="modality", of={"audio": 1, "video": 1})
LAGS = (1, 10, 100)
# With a pyarrow that its `make_batch_reader` can use. Its own requirements would bring Spark, and old build tools.
PETASTORM = [
    ["torch==2.13.0", "pyarrow==14.0.2", "numpy<2", "pandas==2.2.*", "setuptools<81"],
    ["dill", "diskcache", "fsspec", "future", "packaging", "psutil", "pyzmq", "six"],
    ["--no-deps", "petastorm==0.13.1"],
]
QUEUES = {"batched_loader": 200_000, "data_loader": 50_000}
LOADER_LIMIT_S = 1800


def plan(_cache: Path) -> tuple[Mapping[str, object], Figures, Figures]:
    """Plan a billion rows in batches of 4096, and walk through steps at the start, in the middle and at the end."""
    snapshot = snapshot_of(1_000_000_000, days=30)
    before = _peak_mb()
    started = time.perf_counter()
    made = make_plan(snapshot, seed=1, epoch=0, batch_size=4096, lanes=4)
    split(made, 0, World(0, 8))
    figures = {"make_plan_s": time.perf_counter() - started}
    mixings: dict[str, Mixing] = {"proportional": "proportional", "halves": HALVES}
    for name, mixing in mixings.items():
        figures |= _walk(snapshot, name, mixing)
    started = time.perf_counter()
    made.delivered(made.steps // 2)
    figures |= {"resume_s": time.perf_counter() - started, "plan_memory_mb": _peak_mb() - before}
    print(describe(made, COLUMNS, threads=2))
    config = {"rows": snapshot.rows, "files": len(snapshot.files), "steps": made.steps, "lanes": 4}
    return config, figures, {}


def _walk(snapshot: Snapshot, name: str, mixing: Mixing) -> Figures:
    made = make_plan(snapshot, seed=1, epoch=0, batch_size=4096, lanes=4, mixing=mixing)
    figures = {}
    for where, first in {"first": 0, "middle": made.steps // 2, "last": made.steps - 1000}.items():
        started = time.perf_counter()
        for _ in islice(walk(made, World(0, 1), first), 1000):
            pass
        figures[f"{name}_{where}_steps_us"] = (time.perf_counter() - started) * 1000
    return figures


def quality(_cache: Path) -> tuple[Mapping[str, object], Figures, Figures]:
    """Measure the autocorrelation of slot and day: this plan with several numbers of lanes, a full shuffle, files."""
    snapshot = snapshot_of(8_000_000, days=8)
    slots, days = (sorted({getattr(file, name) for file in snapshot.files}) for name in ("slot", "day"))
    values = {
        "slot": [slots.index(file.slot) for file in snapshot.files],
        "day": [days.index(file.day) for file in snapshot.files],
    }
    figures: Figures = {}
    for lanes in (1, 4, 16):
        made = make_plan(snapshot, seed=1, epoch=0, batch_size=4096, lanes=lanes)
        for name, of_file in values.items():
            counts = counts_by(made, of_file)
            figures |= _correlations(f"{name}_lanes_{lanes}", counts)
            if lanes == 1:
                figures |= _correlations(f"{name}_full_shuffle", fully_shuffled(counts, 1))
    return {"rows": snapshot.rows, "batch": 4096, "days": 8, "lags": LAGS}, figures, {}


def _correlations(name: str, counts: Counts) -> Figures:
    found = autocorrelation(counts, LAGS)
    between = {f"{name}_lag_{lag}": value for lag, value in zip(found.lags, found.between, strict=True)}
    print(f"{name:24s} within {found.within:+.5f}  " + "  ".join(f"{k[-7:]} {v:+.5f}" for k, v in between.items()))
    return {f"{name}_within": found.within} | between


@dataclass(frozen=True)
class Run:
    """One pass over a table: million rows a second, by the wall clock and by processor seconds.

    `cached` is the share of what it read that was in the page cache when it began, where that was looked at.
    """

    wall: float
    processor: float
    cached: float | None = None


def _camoe() -> contenders.Contender:
    """Stream as training does: each epoch in the memory of the epoch before."""
    return partial(contenders.camoe, buffers=Buffers())


def _timed(name: str, contender: contenders.Contender, snapshot: Snapshot) -> Run:
    wall, processor = time.perf_counter(), time.process_time()
    rows = sum(len(batch.slot) for batch in contender(snapshot))
    assert rows == snapshot.rows, (name, rows)
    return Run(rows / 1e6 / (time.perf_counter() - wall), rows / 1e6 / (time.process_time() - processor))


def _from(prepare: Callable[[Sequence[Path]], None], files: Sequence[Path], run_once: Callable[[], Run]) -> Run:
    """Run once `prepare` has put the pages of `files` into the page cache, or out of it."""
    prepare(files)
    cached = statistics.mean(map(resident, files))
    return replace(run_once(), cached=cached)


def _petastorm(snapshot: Snapshot, cache: Path) -> Worker:
    columns = {
        "categorical": COLUMNS.categorical,
        "numeric": COLUMNS.numeric,
        "labels": COLUMNS.labels,
        "slot": [SLOT_ID],
    }
    settings = {
        "files": [file.path for file in snapshot.files],
        "columns": columns,
        "batch": contenders.BATCH,
        "queue": QUEUES,
        "unknown_label": UNKNOWN_LABEL,
    }
    interpreter = interpreter_of("petastorm", PETASTORM)
    command: list[str | Path] = [interpreter, "-m", "bench.stream_petastorm", json.dumps(settings)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return Worker(command, environment, cache / "petastorm.log", LOADER_LIMIT_S)


def _told(worker: Worker, loader: str, snapshot: Snapshot) -> Run:
    took = worker.tell(f"{loader} {len(snapshot.files)}")
    assert took["rows"] == snapshot.rows, (loader, took)
    return Run(took["rows"] / 1e6 / took["wall"], took["rows"] / 1e6 / took["processor"])


def speed(cache: Path) -> tuple[Mapping[str, object], Figures, Figures]:
    """Measure rows into tensors, in turn, so that all meet the same machine; ratios are medians of rounds.

    What ends in `_cold` begins with no page of its files in memory, and the others with all of them.
    """
    whole = table_of(2_000_000, cache)
    mapped, files = [contenders.memory_mapped(whole)], [Path(file.path) for file in whole.files]
    own = {
        "camoe": (_camoe(), files, read_once, 15),
        "pyarrow_dataset": (contenders.pyarrow_dataset, files, read_once, 15),
        "memory_map": (contenders.memory_map, mapped, read_once, 15),
        "camoe_cold": (_camoe(), files, forget, 5),
        "memory_map_cold": (contenders.memory_map, mapped, forget, 5),
    }
    with _petastorm(whole, cache) as worker:
        field: dict[str, tuple[Callable[[], Run], int]] = {
            **{
                name: (partial(_from, prepare, read, partial(_timed, name, contender, whole)), rounds)
                for name, (contender, read, prepare, rounds) in own.items()
            },
            "batched_loader": (partial(_told, worker, "batched_loader", whole), 5),
            # Of three files: row by row the whole table would take minutes.
            "data_loader": (partial(_told, worker, "data_loader", replace(whole, files=whole.files[:3])), 1),
        }
        runs = _in_turns(field)
    figures, ratios = {}, {}
    for name, found in runs.items():
        for clock in ("wall", "processor"):
            mine = [asdict(run)[clock] for run in runs["camoe"]]
            theirs = [asdict(run)[clock] for run in found]
            figures[f"{name}_{clock}_best_mrows_s"] = max(theirs)
            figures[f"{name}_{clock}_median_mrows_s"] = statistics.median(theirs)
            if name == "memory_map_cold":
                alike = [asdict(run)[clock] for run in runs["camoe_cold"]]
                ratios[f"cold_{clock}"] = statistics.median(a / b for a, b in zip(alike, theirs, strict=True))
            elif name != "camoe":
                pairs = [a / b for a, b in zip(mine, theirs, strict=False)]
                ratios[f"{name}_{clock}"] = statistics.median(pairs)
                ratios[f"{name}_{clock}_best"] = max(mine) / max(theirs)
        cached = [run.cached for run in found if run.cached is not None]
        figures |= {f"{name}_cached": statistics.median(cached)} if cached else {}
    config = {"rows": whole.rows, "files": len(whole.files), "batch": contenders.BATCH, "queues": QUEUES}
    return config, figures, ratios


def _in_turns(field: Mapping[str, tuple[Callable[[], Run], int]]) -> dict[str, list[Run]]:
    """Return the runs of each contender, which has so many rounds; all have one more first, in cold memory."""
    runs: dict[str, list[Run]] = {name: [] for name in field}
    names = list(field)
    # The slow ones have few turns.
    for number in range(-1, max(rounds for _, rounds in field.values())):
        # Whoever comes after another finds the files in memory, so the turns go round.
        for name in names[number % len(names) :] + names[: number % len(names)]:
            run_once, rounds = field[name]
            if -1 < number < rounds or (number < 0 and rounds > 1):
                run = run_once()
                print(f"{number} {name:16s} {run}", flush=True)
                runs[name].extend([run] if number >= 0 else [])
    return runs


def growth(cache: Path) -> tuple[Mapping[str, object], Figures, Figures]:
    """Measure processor time a row of 1, 10 and 100 days of 0.2 million rows, and of as many in three times the files.

    The hundred days are the ten days' files ten times over, so they fit on the disk.
    """
    one, ten = table_of(200_000, cache, days=1), table_of(2_000_000, cache, days=10)
    tables = {"1_day": one, "10_days": ten, "100_days": replace(ten, files=ten.files * 10)}
    tables["small_files"] = table_of(200_000, cache, days=4)
    ours = {name: _camoe() for name in tables}
    figures = {f"{name}_ns": float("inf") for name in tables}
    # In turns, so that all meet the same machine.
    for _ in range(5):
        for name, table in tables.items():
            figures[f"{name}_ns"] = min(figures[f"{name}_ns"], 1000 / _timed("camoe", ours[name], table).processor)
    config = {name: {"rows": table.rows, "files": len(table.files)} for name, table in tables.items()}
    ratios = {name: figures["10_days_ns"] / figures[f"{name}_ns"] for name in ("1_day", "100_days", "small_files")}
    return config, figures, ratios


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


COMMANDS: Mapping[str, Callable[[Path], tuple[Mapping[str, object], Figures, Figures]]] = {
    command.__name__: command for command in (plan, quality, speed, growth)
}


def main(argv: Iterable[str]) -> None:
    """Run one command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=sorted(COMMANDS))
    parser.add_argument("--cache", type=Path, default=Path("out/bench/stream"))
    chosen = parser.parse_args(list(argv))
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    config, figures, ratios = COMMANDS[chosen.command](chosen.cache)
    rounded = {name: round(value, 5) for name, value in figures.items()}
    line = {"bench": f"stream {chosen.command}", "config": config, "figures": rounded}
    print(json.dumps(line | {"ratios": {name: round(value, 3) for name, value in ratios.items()}}))


if __name__ == "__main__":
    # The allocator reads its settings when the process starts, and jobs/train.py gives these to its workers.
    if not WORKER_ENVIRONMENT.keys() <= os.environ.keys():
        command = [sys.executable, "-m", "bench.stream", *sys.argv[1:]]
        os.execve(sys.executable, command, WORKER_ENVIRONMENT | os.environ)  # noqa: S606  # itself, without a shell
    main(sys.argv[1:])
