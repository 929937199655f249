"""Benchmarks of scoring, on a bundle and the last day of its training table; the last line is one JSON object.

python -m bench.score speed --bundle OUT/bundle --table OUT/training [--rows 2000000] [--rounds 3] [--cores 2]
    Rows a second of inference (read and score) and of the whole job (and write), in turns in one Spark session, beside
    predict_batch_udf and mapInPandas with eager PyTorch and mapInArrow with TorchScript; and of ONNX Runtime over
    arrays in memory, a process a core, which is the limit. A model with sequences has the limit alone beside it.
python -m bench.score growth --bundle OUT/bundle --table OUT/training [--sizes 200000,2000000,20000000] [--cores 2]
    Processor seconds of the whole job by the number of rows.
python -m bench.score alone --bundle OUT/bundle --table OUT/training [--rounds 5]
    The same without Spark, one process and thread: `predict` of the day's rows as Arrow beside its graphs alone, eager
    PyTorch and TorchScript, which are given arrays.
python -m bench.score latency --bundle OUT/bundle --table OUT/training
    p50 and p99 of `predict` for 1, 10, 100 and 1,000 rows, on one thread, beside eager PyTorch on arrays in memory (of
    a model without sequences) and torch-rechub's ONNX export of an MMoE as wide, in an environment of its own.

Beside rows a second by the clock stand those a second of all processors used, which a busy machine changes less.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import multiprocessing
import os
import shutil
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

import camoe
from bench.scoring import peers
from bench.scoring.latency import latency as measured_latency
from bench.scoring.rows import table_of
from camoe.contracts.schema import PREDICTION_PARTITIONS
from camoe.contracts.snapshot import Snapshot, logged
from camoe.score.frames import read_days
from camoe.score.graph_inputs import graph_inputs
from camoe.score.scorer import Scorer, ScoringModel, read_model
from camoe.score.seen import Work
from camoe.score.spark import score_impressions

LOG = logging.getLogger("bench")
OURS, LIMIT, UDF = "camoe", "ONNX Runtime on arrays", "predict_batch_udf, eager PyTorch"
CLOCKS = ("rows_per_s", "rows_per_processor_s")


def ticks() -> dict[int, int]:
    """Return the ticks of a processor that this process and each one below it has used."""
    found, waiting = dict[int, int](), [os.getpid()]
    while waiting:
        number = waiting.pop()
        process = Path(f"/proc/{number}")
        with contextlib.suppress(OSError):
            fields = (process / "stat").read_text().rpartition(")")[2].split()
            found[number] = sum(map(int, fields[11:13]))
            waiting += [int(child) for file in process.glob("task/*/children") for child in file.read_text().split()]
    return found


def timed(work: Callable[[], object], rows: int) -> tuple[float, float]:
    """Return the rows a second of `work`, by the clock and by processors.

    Processes are asked twice a second, as nobody tells what one had used that has ended, as Spark's idle workers do.
    """
    before, used, done = ticks(), dict[int, int](), threading.Event()

    def watch() -> None:
        while not done.wait(0.5):
            used.update(ticks())

    watching = threading.Thread(target=watch)
    watching.start()
    started = time.perf_counter()
    work()
    wall = time.perf_counter() - started
    done.set()
    watching.join()
    used.update(ticks())
    spent = sum(count - before.get(number, 0) for number, count in used.items())
    return rows / wall, rows * os.sysconf("SC_CLK_TCK") / spent


def session(cores: int) -> SparkSession:
    """Return a Spark session as conf/spark/local.conf has it, with `cores` of them."""
    builder = SparkSession.builder.master(f"local[{cores}]")
    for line in Path("conf/spark/local.conf").read_text().splitlines():
        name, _, value = line.partition(" ")
        if line and not line.startswith("#") and name != "spark.master":
            builder = builder.config(name, value.strip())
    return builder.getOrCreate()


def speed(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure all systems in turns."""
    cache = Path(asked.cache)
    model, snapshot = read_model(asked.bundle), table_of(asked.table, asked.rows, cache)
    spark, traced, out = session(asked.cores), cache / "traced", cache / "predictions"
    systems: dict[str, Callable[[], DataFrame]] = {OURS: lambda: peers.ours(spark, snapshot, model)}
    if not model.spec.features.sequence:
        peers.trace(model.folder, traced)
        table = spark.read.format("delta").option("versionAsOf", snapshot.version).load(snapshot.table)
        given = table.select(*peers.KEYS, "slot_id", *model.spec.features.columns)
        systems |= {
            UDF: lambda: peers.in_batch_udf(given, model.spec, model.folder).select(*peers.KEYS, "p"),
            "mapInPandas, eager PyTorch": lambda: peers.in_pandas(given, model.spec, model.folder),
            "mapInArrow, TorchScript": lambda: peers.in_arrow(given, model.spec, model.folder, traced),
        }
        require_same(systems)
    found: dict[str, list[tuple[float, float]]] = {}
    for turn in range(asked.rounds + 1):
        for name, made in systems.items():
            reading = partial(_only_read, made)
            writing = partial(_job if name == OURS else _written, made, snapshot, out, model)
            for what, work in (("inference", reading), ("job", writing)):
                # The first turn warms up.
                rate = timed(work, snapshot.rows)
                LOG.info("%d %s, %s: %s", turn, name, what, rate)
                if turn:
                    found.setdefault(f"{name}: {what}", []).append(rate)
        if turn:
            found.setdefault(LIMIT, []).append(limit(model, asked.table, snapshot.rows, asked.cores))
    return {"bench": "score.speed", "config": _config(asked, model, snapshot.rows), **_figures(found)}


def growth(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure the whole job, after one that warms up, on more and more rows; the slope is that of the logarithms."""
    model, spark, out = read_model(asked.bundle), session(asked.cores), Path(asked.cache) / "predictions"
    sizes, found = [int(text) for text in asked.sizes.split(",")], list[float]()
    for rows in (sizes[0], *sizes):
        snapshot = table_of(asked.table, rows, Path(asked.cache))
        made = partial(peers.ours, spark, snapshot, model)
        found.append(rows / timed(partial(_job, made, snapshot, out, model), rows)[1])
        LOG.info("%d rows: %.1f processor seconds", rows, found[-1])
    slope = float(np.polyfit(np.log(sizes), np.log(found[1:]), 1)[0])
    figures = {f"processor_s.{rows}": round(cost, 1) for rows, cost in zip(sizes, found[1:], strict=True)}
    ratios = {"linear": round(1 / slope, 3)}
    return {"bench": "score.growth", "config": _config(asked, model, sizes[-1]), "figures": figures, "ratios": ratios}


def _only_read(made: Callable[[], DataFrame]) -> None:
    made().write.format("noop").mode("overwrite").save()


def _job(made: Callable[[], DataFrame], snapshot: Snapshot, out: Path, model: ScoringModel) -> None:
    """Do what the scoring job does: unknown categories and scores are counted, too."""
    shutil.rmtree(out, ignore_errors=True)
    score_impressions(made().sparkSession, Work(model, snapshot, _days(snapshot), out))


def _written(made: Callable[[], DataFrame], snapshot: Snapshot, out: Path, model: ScoringModel) -> None:
    """Write the same columns by Delta's own writer, partitioned alike; nothing is counted."""
    shutil.rmtree(out, ignore_errors=True)
    version = model.manifest.model_version
    named = {"model_version": version, "head": "", "objective": "click", "snapshot_version": snapshot.version}
    whole = made().withColumns({name: F.lit(value) for name, value in named.items()})
    whole = whole.withColumn("p_raw", F.col("p")).withColumn("scored_at", F.current_timestamp())
    whole.write.format("delta").partitionBy(*PREDICTION_PARTITIONS).save(str(out))


def _days(snapshot: Snapshot) -> tuple[date, ...]:
    return tuple(sorted({file.day for file in snapshot.files}))


def require_same(systems: dict[str, Callable[[], DataFrame]]) -> None:
    """Raise `AssertionError` unless all systems give the same mean prediction and number of rows."""
    found = {name: made().agg(F.count("*"), F.avg("p")).collect()[0] for name, made in systems.items()}
    rows, mean = found[OURS]
    for name, (count, average) in found.items():
        assert count == rows, name
        assert abs(average - mean) < 1e-5 * mean, f"{name}: {average} and not {mean}"


def limit(model: ScoringModel, table: Path, rows: int, cores: int) -> tuple[float, float]:
    """Return the rows a second of the graphs alone over arrays in memory, a process a core."""
    context = multiprocessing.get_context("spawn")
    with context.Pool(cores) as pool:
        found = pool.map(partial(_alone, model.folder, table, rows // cores), range(cores), chunksize=1)
    wall = max(end for _, end, _ in found) - min(start for start, _, _ in found)
    done = rows // cores * cores
    return done / wall, done / sum(used for _, _, used in found)


def _alone(folder: Path, table: Path, rows: int, _: int) -> tuple[float, float, float]:
    model = read_model(folder)
    scorer, day = Scorer(model), max(file.day for file in logged(table).files)
    inputs = graph_inputs(read_days(table, [day]), model.spec)
    parts = peers.parts(model.spec, inputs)
    for part in parts:
        scorer.run(*part)
    start, used, done = time.time(), time.process_time(), 0
    while done < rows:
        for head, of_head, own in parts:
            some = own[: max(0, rows - done)]
            scorer.run(head, of_head, some)
            done += len(some)
    return start, time.time(), time.process_time() - used


def alone(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure one process without Spark, all systems in turns."""
    predictor = camoe.load(asked.bundle)
    model, day = predictor.model, max(file.day for file in logged(asked.table).files)
    rows = read_days(asked.table, [day])
    inputs = graph_inputs(rows, model.spec)
    given, folder = (inputs.categorical, inputs.numeric, inputs.slot), str(model.folder)
    with tempfile.TemporaryDirectory() as traced:
        peers.trace(model.folder, Path(traced))
        eager, scripted = peers.eager(folder), peers.scripted(folder, traced)
    scorer, parts = Scorer(model), peers.parts(model.spec, inputs)
    systems: dict[str, Callable[[], object]] = {
        OURS: lambda: predictor.predict(rows),
        LIMIT: lambda: [scorer.run(*part) for part in parts],
        "eager PyTorch on arrays": lambda: eager(*given),
        "TorchScript on arrays": lambda: scripted(*given),
    }
    found: dict[str, list[tuple[float, float]]] = {}
    for turn in range(asked.rounds + 1):
        for name, work in systems.items():
            started, used = time.perf_counter(), time.process_time()
            work()
            rate = rows.num_rows / (time.perf_counter() - started), rows.num_rows / (time.process_time() - used)
            if turn:
                found.setdefault(name, []).append(rate)
    ratios = {
        f"{OURS} / {name}.{clock}": round(_median_ratio(found[OURS], found[name], place), 3)
        for name in found
        for place, clock in enumerate(CLOCKS)
        if name != OURS
    }
    return {
        "bench": "score.alone",
        "config": _config(asked, model, rows.num_rows),
        "figures": _rates(found),
        "ratios": ratios,
    }


def latency(asked: argparse.Namespace) -> dict[str, Any]:
    """Measure `predict` of few rows."""
    figures = measured_latency(asked.bundle, asked.table, asked.repeats)
    return {"bench": "score.latency", "config": _config(asked, read_model(asked.bundle), 0), "figures": figures}


def _config(asked: argparse.Namespace, model: ScoringModel, rows: int) -> dict[str, Any]:
    features = model.spec.features
    told = {name: str(value) for name, value in vars(asked).items() if name != "run"}
    return {**told, "table_rows": rows, "model": model.manifest.model_version, "columns": len(features.columns)}


def _rates(found: dict[str, list[tuple[float, float]]]) -> dict[str, int]:
    return {
        f"{name}.{clock}": round(statistics.median(rate[place] for rate in rates))
        for name, rates in found.items()
        for place, clock in enumerate(CLOCKS)
    }


def _median_ratio(ours: list[tuple[float, float]], theirs: list[tuple[float, float]], place: int) -> float:
    return statistics.median(one[place] / other[place] for one, other in zip(ours, theirs, strict=True))


def _figures(found: dict[str, list[tuple[float, float]]]) -> dict[str, Any]:
    ratios = {}
    for place, clock in enumerate(CLOCKS):
        for what in ("inference", "job"):
            for against in (UDF, LIMIT):
                theirs = found.get(against if against == LIMIT else f"{against}: {what}")
                if theirs is None:
                    continue
                ratio = _median_ratio(found[f"{OURS}: {what}"], theirs, place)
                ratios[f"{what} / {against}.{clock}"] = round(ratio, 3)
    return {"figures": _rates(found), "ratios": ratios}


def main() -> None:
    """Run one benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    made = {name: commands.add_parser(name) for name in ("speed", "growth", "alone", "latency")}
    for command, run in zip(made.values(), (speed, growth, alone, latency), strict=True):
        command.set_defaults(run=run)
        command.add_argument("--bundle", type=Path, required=True)
        command.add_argument("--table", type=Path, required=True)
    made["speed"].add_argument("--rows", type=int, default=2_000_000)
    made["speed"].add_argument("--rounds", type=int, default=3)
    made["growth"].add_argument("--sizes", default="200000,2000000,20000000")
    for name in ("speed", "growth"):
        made[name].add_argument("--cores", type=int, default=multiprocessing.cpu_count())
        made[name].add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "camoe-bench-score")
    made["alone"].add_argument("--rounds", type=int, default=5)
    made["latency"].add_argument("--repeats", type=int, default=1_000)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    logging.getLogger("py4j").setLevel(logging.WARNING)
    asked = parser.parse_args()
    print(json.dumps(asked.run(asked)))


if __name__ == "__main__":
    main()
