"""How long the evaluation job takes on many predictions, slots and campaigns, and what its driver holds.

    python -m bench.evaluate --rows 10000000 --slots 300 --campaigns 100000

Made-up predictions of one day are scored already: the job joins them with labels, keeps the states of two models, and
holds one against the other. `python_mb` is the peak of the driver's own memory, in which the figures lie; Java, which
here is Spark's workers too, has the heap of conf/spark/local.conf.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import yaml
from deltalake import write_deltalake

from bench.processes import children_s
from camoe.bundle.manifest import Manifest, write_manifest

Numbers = npt.NDArray[np.generic]

FIRST = date(2026, 3, 2)
TEST = FIRST + timedelta(days=3)
MODELS = ("aaaaaaaaaa01", "bbbbbbbbbb02")
PARTITIONS = ["modality", "slot", "date"]
ROWS_PER_USER = 10
TRAINING_ROWS_PER_SLOT = 200
# Both compilers, as conf/spark/local.conf advises for jobs of many minutes.
JAVA = "-XX:-DontCompileHugeMethods"
# The job, which tells its peak at the end.
PEAK = """
import resource, sys
sys.path.insert(0, {root!r})
from jobs.evaluate import main
main(sys.argv[1:])
print("peak", resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


def main() -> None:
    """Make the tables unless they are there, evaluate both models, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("rows", 10_000_000), ("slots", 300), ("campaigns", 100_000)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--cache", type=Path, default=Path("out/bench-evaluate"))
    chosen = parser.parse_args()
    out = (chosen.cache / f"{chosen.rows}-{chosen.slots}-{chosen.campaigns}").resolve()
    if not (out / "run.yaml").is_file():
        shutil.rmtree(out, ignore_errors=True)
        _write(out, chosen.rows, chosen.slots, chosen.campaigns)
    figures: dict[str, float] = {}
    for name, arguments in (
        ("first", ["--model", MODELS[1]]),
        ("against", ["--model", MODELS[0], "--against", MODELS[1]]),
    ):
        seconds, cpu, peak = _evaluate(out, arguments)
        figures |= {f"{name}_s": round(seconds, 1), f"{name}_cpu_s": round(cpu, 1), f"{name}_python_mb": peak}
    figures["states_mb"] = round(_size_mb(out / "states"), 1)
    figures["predictions_mb"] = round(_size_mb(out / "predictions"), 1)
    config = {name: getattr(chosen, name) for name in ("rows", "slots", "campaigns")}
    print(json.dumps({"bench": "evaluate", "config": config, "figures": figures, "ratios": {}}))


def _evaluate(out: Path, arguments: list[str]) -> tuple[float, float, int]:
    """Return the seconds that the job took by the clock and of processors, and the peak of its Python process in MB."""
    script = out / "peak.py"
    script.write_text(PEAK.format(root=str(Path.cwd())))
    submit = ["spark-submit", "--properties-file", "conf/spark/local.conf", "--driver-java-options", JAVA, str(script)]
    started, before = time.perf_counter(), children_s()
    done = subprocess.run(
        [*submit, "--config", str(out / "run.yaml"), *arguments], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    seconds = time.perf_counter() - started, children_s() - before
    return *seconds, int(re.findall(r"^peak (\d+)$", done.stdout, re.MULTILINE)[0])


def _size_mb(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*.parquet")) / 1e6


@dataclass(frozen=True)
class Cell:
    """The rows of one slot: how many, of how many users and campaigns."""

    number: int
    modality: str
    rows: int
    users: int
    campaigns: int

    @property
    def slot(self) -> str:
        """Its id."""
        return f"s{self.number}"

    def ids(self, prefix: str, rows: int) -> pa.Array:
        """Return ids of impressions."""
        return pa.array([f"{prefix}{self.number:04d}-{row:08d}" for row in range(rows)])

    def drawn(self) -> dict[str, Numbers]:
        """Return users, campaigns, the logit of each row's chance, its click, and two models' errors."""
        rng = np.random.default_rng(self.number)
        logit = rng.normal(-5 + self.number % 20 / 10, 1.0, self.rows)
        return {
            "user": rng.integers(0, self.users, self.rows),
            "campaign": (self.campaigns * rng.random(self.rows) ** 2).astype(np.int64),
            "logit": logit,
            "click": (rng.random(self.rows) < 1 / (1 + np.exp(-logit))).astype(np.int32),
            "noise": rng.normal(0, 1, (2, self.rows)),
        }


def _write(out: Path, rows: int, slots: int, campaigns: int) -> None:
    share = 1 / (np.arange(slots) + 10.0)
    cells = [
        Cell(
            number, "video" if number % 4 == 0 else "audio", max(int(size), 1), max(rows // ROWS_PER_USER, 1), campaigns
        )
        for number, size in enumerate(rows * share / share.sum())
    ]
    for table, made, parts in (
        ("training", _training, PARTITIONS),
        ("predictions", _predictions, [*PARTITIONS, "model_version"]),
    ):
        batches = (batch for cell in cells for batch in made(cell))
        first = next(batches)
        reader = pa.RecordBatchReader.from_batches(first.schema, chain([first], batches))
        write_deltalake(out / table, reader, partition_by=parts)
    made_of: dict[str, object] = {"table": "training", "table_version": 0, "snapshot_hash": "s", "encoder_version": 1}
    hashes = {"feature_schema_hash": "f", "config_hash": "c", "code_version": "0", "files": {}}
    write_manifest(out / "bundle", Manifest.model_validate({"model_version": MODELS[0], **made_of, **hashes}))
    (out / "run.yaml").write_text(yaml.safe_dump(_config(out, cells)))


def _training(cell: Cell) -> Iterator[pa.RecordBatch]:
    drawn = cell.drawn()
    few = min(cell.rows, TRAINING_ROWS_PER_SLOT)
    for day, keys in ((TEST, cell.ids("", cell.rows)), (FIRST, cell.ids("t", few))):
        columns = _columns(cell, keys, drawn, day)
        yield pa.RecordBatch.from_pydict({**columns, "label_click": pa.array(drawn["click"][: len(keys)])})


def _predictions(cell: Cell) -> Iterator[pa.RecordBatch]:
    drawn = cell.drawn()
    columns = _columns(cell, cell.ids("", cell.rows), drawn, TEST)
    for place, model in enumerate(MODELS):
        p = pa.array(1 / (1 + np.exp(-(drawn["logit"] + (0.3 + 0.3 * place) * drawn["noise"][place]))))
        constant = {
            "objective": pa.scalar("click"),
            "head": pa.scalar(cell.modality),
            "model_version": pa.scalar(model),
            "snapshot_version": pa.scalar(0, pa.int64()),
            "scored_at": pa.scalar(datetime.now(UTC), pa.timestamp("us", "UTC")),
        }
        repeated = {name: pa.repeat(value, cell.rows) for name, value in constant.items()}
        yield pa.RecordBatch.from_pydict({**columns, "p": p, "p_raw": p, **repeated})


def _columns(cell: Cell, keys: pa.Array, drawn: dict[str, Numbers], day: date) -> dict[str, pa.Array]:
    rows = len(keys)
    constant = {"modality": pa.scalar(cell.modality), "slot": pa.scalar(cell.slot), "date": pa.scalar(day)}
    return {
        "impression_id": keys,
        "user_id": pa.array(drawn["user"][:rows]).cast(pa.string()),
        "campaign_id": pa.array(drawn["campaign"][:rows]).cast(pa.string()),
        **{name: pa.repeat(value, rows) for name, value in constant.items()},
    }


def _config(out: Path, cells: list[Cell]) -> dict[str, object]:
    columns = {name: name for name in ("impression_id", "user_id", "campaign_id", "slot", "ts")}
    heads = [{"name": kind, "objective": "click", "where": {"modality": [kind]}} for kind in ("audio", "video")]
    days = {"train": (0, 1), "validation": (2, 2), "test": (3, 3)}
    return {
        "out": str(out),
        "slots": {"slots": [{"id": cell.slot, "name": cell.slot, "modality": cell.modality} for cell in cells]},
        "heads": {"heads": heads},
        "sources": {
            "impressions": {"path": "x", "columns": columns, "labels": {"click": "click"}},
            "objectives": {"click": {}},
        },
        "features": {"numeric": [{"name": "x", "sql": "x"}]},
        "days": {
            name: {"first": FIRST + timedelta(days=first), "last": FIRST + timedelta(days=last)}
            for name, (first, last) in days.items()
        },
    }


if __name__ == "__main__":
    main()
