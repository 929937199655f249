"""This project alone, over the Delta table of bench.stream_table; prints or writes one line of JSON.

python -m bench.training.own stream SETTINGS_JSON        epochs from the stream and from blocks in memory, in turns
python -m bench.training.own workers SETTINGS_JSON       under horovodrun: steps whose batches all workers share
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import horovod.torch as hvd
import pandas  # noqa: F401  # pyarrow imports it at the first conversion, which takes a second
import torch

from bench.stream_table import CATEGORICALS, COLUMNS, NUMERICS, SLOTS, modality, table_of
from bench.training.rows import BATCH
from bench.training.systems.camoe import learner_of, spec_of
from camoe.config.training import TrainingConfig
from camoe.contracts.slots import Slot, SlotCatalogue
from camoe.stream.api import BatchPlan, Block, Ledger, ReadOptions, World, make_plan, require_complete, stream
from camoe.train.loop.step import TrainStep

# As many ids as the table's largest column may have.
SIZES = [int(10 ** (1 + 5 * number / CATEGORICALS)) for number in range(CATEGORICALS)]
CATALOGUE = SlotCatalogue(slots=tuple(Slot(id=slot, name=slot, modality=modality(slot)) for slot in SLOTS))
# Blocks that stay in memory for the steps of several workers.
KEPT = 32


def train_step(settings: dict[str, Any]) -> TrainStep:
    """Return the learner of this worker."""
    training = TrainingConfig(batch_size=BATCH)
    made = learner_of(training, spec_of(settings["model"], SIZES, NUMERICS, CATALOGUE), SLOTS, 1_000_000)
    torch.set_num_threads(settings["threads"] // hvd.size())
    return made


def plan_of(settings: dict[str, Any], epoch: int) -> BatchPlan:
    """Return the batches of one epoch of the table."""
    snapshot = table_of(settings["rows"], Path(settings["cache"]))
    return make_plan(snapshot, seed=1, epoch=epoch, batch_size=BATCH, lanes=4)


def streamed(plan: BatchPlan, world: World) -> Iterable[Block]:
    """Yield the worker's blocks as training has them, counted and checked."""
    ledger = Ledger()
    yield from stream(plan, COLUMNS, world, ReadOptions(2), ledger=ledger)
    if world.size == 1:
        require_complete(plan, ledger.as_array(plan))


def timed(train_step: TrainStep, blocks: Iterable[Block], rows: int) -> tuple[float, float]:
    """Return the rows of all workers a second, and a second of this worker's processor."""
    started, used = time.perf_counter(), time.process_time()
    for block in blocks:
        train_step.step(block)
    return rows / (time.perf_counter() - started), rows / (time.process_time() - used)


def from_stream(settings: dict[str, Any]) -> dict[str, Any]:
    """Return medians of epochs from stream and memory, of their ratios, and peak memory before blocks are kept."""
    own = train_step(settings)
    rates: dict[str, list[tuple[float, float]]] = {"stream": [], "memory": []}
    timed(own, streamed(plan_of(settings, 0), own.workers.world), 1)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    kept = list(streamed(plan_of(settings, 0), own.workers.world))
    for turn in range(settings["rounds"]):
        plan = plan_of(settings, turn + 1)
        rates["stream"].append(timed(own, streamed(plan, own.workers.world), plan.rows))
        rates["memory"].append(timed(own, kept, plan.rows))
        print(f"{turn} {rates}", file=sys.stderr, flush=True)
    figures: dict[str, Any] = {"streaming_peak_mb": peak}
    ratios = {}
    for index, clock in enumerate(("samples_per_s", "samples_per_processor_s")):
        pairs = [(one[index], two[index]) for one, two in zip(rates["stream"], rates["memory"], strict=True)]
        figures |= {f"stream.{clock}": statistics.median(one for one, _ in pairs)}
        figures |= {f"memory.{clock}": statistics.median(two for _, two in pairs)}
        ratios[f"stream/memory.{clock}"] = statistics.median(one / two for one, two in pairs)
    return {"figures": figures, "ratios": ratios}


def with_workers(settings: dict[str, Any]) -> dict[str, Any]:
    """Return the samples a second of all workers together, and a second of all their processors, by round."""
    own = train_step(settings)
    blocks = []
    for block in streamed(plan_of(settings, 0), own.workers.world):
        blocks.append(block)
        if len(blocks) == KEPT:
            break
    found = []
    for turn in range(settings["rounds"] + 1):
        hvd.barrier()
        steps = [blocks[number % KEPT] for number in range(settings["steps"])]
        clock, processor = timed(own, steps, BATCH * len(steps))
        spent = hvd.allgather_object(1 / processor, name=f"processor_{turn}")
        found.append((clock, 1 / sum(spent)))
    return {"rates": found[1:]}


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    answers, sys.stdout = sys.stdout, sys.stderr
    told = json.loads(sys.argv[2])
    answer = {"stream": from_stream, "workers": with_workers}[sys.argv[1]](told)
    if hvd.rank() == 0:
        Path(told["out"]).write_text(json.dumps(answer))
