"""Holds a model trained from the stream against one trained from a full shuffle in memory: NE on the validation day.

python -m bench.parity --config conf/synthetic.yaml out=out/synthetic [--seeds 5] [key=value ...]

Both start from the same weights, learn the same rows in as many steps of as many rows, and are validated on the same
rows; only the order of the rows differs. The last line is one JSON object; its ratio is the seeds' standard deviation
over the difference of the means, so above 1 the difference is within seed noise.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np

from camoe.config.command_line import load_config, parse, parser, positive
from camoe.config.ending import exit_with
from camoe.config.pipeline import Config
from camoe.stream.api import BatchPlan, Block, Columns, Ledger, ReadOptions, World, model_columns, stream
from camoe.train.assemble import make_train_step
from camoe.train.data.training_inputs import TrainingInputs, open_training_inputs
from camoe.train.distributed.workers import join_workers
from camoe.train.loop.feed import TrainingData
from camoe.train.loop.validate import validate
from camoe.train.spec import model_spec
from camoe.train.supervision.watchdog import Watchdog

ALONE = World(0, 1)
Order = Literal["stream", "shuffle"]


def from_stream(plan: BatchPlan, columns: Columns) -> Iterator[Block]:
    """Return the plan's batches as training has them."""
    return stream(plan, columns, ALONE, ReadOptions(), ledger=Ledger())


def from_memory(plan: BatchPlan, columns: Columns) -> Iterator[Block]:
    """Yield batches of the same sizes from a permutation of all rows."""
    records = np.concatenate([block.records for block in from_stream(plan, columns)])
    order = np.random.default_rng([plan.seed, plan.epoch]).permutation(len(records))
    for first in range(0, len(order), plan.batch_size):
        yield Block(columns, records[order[first : first + plan.batch_size]])


SOURCES: dict[Order, Callable[[BatchPlan, Columns], Iterator[Block]]] = {"stream": from_stream, "shuffle": from_memory}


def validation_ne(config: Config, inputs: TrainingInputs, order: Order) -> tuple[float, ...]:
    """Train, and return the NE of each head after all epochs, from rows in `order`."""
    data = TrainingData(inputs.train, inputs.validation, model_columns(config.features, config.heads.objectives))
    workers = join_workers()
    watchdog = Watchdog(workers.world, config.training.stall_timeout_s, config.layout.logs / "workers")
    spec = model_spec(config.model, config.features, config.heads, config.slots, inputs.encoder)
    train_step = make_train_step(config.training, spec, data, workers, watchdog)
    for epoch in range(config.training.epochs):
        for block in SOURCES[order](data.epoch(config.training, epoch), data.columns):
            train_step.step(block)
    checked = data.check(config.training)
    assert checked is not None
    blocks = from_stream(checked, data.columns)
    return validate(train_step.model, train_step.masking, blocks, train_step.workers, dtype=train_step.dtype).ne


def _seeded(config: Config, seed: int) -> Config:
    return config.model_copy(update={"training": config.training.model_copy(update={"seed": seed})})


def main(argv: Iterable[str]) -> None:
    """Train both ways with each seed and compare."""
    options = parser(__doc__ or "")
    options.add_argument("--seeds", type=positive, default=5)
    chosen = parse(options, list(argv))
    config = load_config(chosen)
    inputs = open_training_inputs(config)
    names = [head.name for head in config.heads.heads]
    found: dict[str, list[float]] = {f"{name}_{order}": [] for name in names for order in SOURCES}
    for seed in range(1, chosen.seeds + 1):
        for order in SOURCES:
            ne = validation_ne(_seeded(config, seed), inputs, order)
            for name, value in zip(names, ne, strict=True):
                found[f"{name}_{order}"].append(value)
            print(
                f"seed {seed} {order:8s} " + "  ".join(f"{n} {v:.5f}" for n, v in zip(names, ne, strict=True)),
                flush=True,
            )
    figures, ratios = {}, {}
    for name in names:
        ways = [found[f"{name}_{order}"] for order in SOURCES]
        for order, values in zip(SOURCES, ways, strict=True):
            figures[f"{name}_{order}_mean"] = round(statistics.mean(values), 6)
            figures[f"{name}_{order}_sd"] = round(statistics.stdev(values), 6)
        difference = abs(statistics.mean(ways[0]) - statistics.mean(ways[1]))
        ratios[name] = round(statistics.stdev(ways[1]) / max(difference, 1e-9), 3)
    what = {"config": chosen.config, "rows": inputs.train.rows, "epochs": config.training.epochs, "seeds": chosen.seeds}
    print(json.dumps({"bench": "parity", "config": what, "figures": figures, "ratios": ratios}))


if __name__ == "__main__":
    exit_with(main)
