"""The whole CAMoE by rank of its crosses, precision, and whether heads are computed on their own rows alone.

Each step is the training job's. The limit is that of products of large square matrices in fp32 on the same threads. All
is told a second of the processor, which what else runs beside it changes little.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from bench.training.data import Problem, write
from bench.training.rows import BATCH, read
from bench.training.systems import camoe
from camoe.config.model import CamoeConfig
from camoe.model.camoe import Camoe
from camoe.train.loop.precision import bf16_instructions

LOG = logging.getLogger("bench")
SQUARE, PRODUCTS = 2048, 8
SETTINGS = {"model": "camoe", "batch": BATCH, "seed": 1, "learning_rate": 1e-3, "schedule_steps": 1_000_000}


@dataclass(frozen=True)
class Variant:
    """Crosses of `rank` (None: full), a precision, and whether each head is computed on all rows, as it was before."""

    rank: int | None
    precision: str = "fp32"
    all_rows: bool = False

    @property
    def name(self) -> str:
        """What the figures are filed under."""
        return f"rank_{self.rank or 'full'}.{self.precision}{'.all_rows' if self.all_rows else ''}"


def on_all_rows(model: Camoe, _own: Tensor, *inputs: Tensor) -> Tensor:
    """Compute every head on every row."""
    return model.logits(*inputs)


def variants(ranks: Sequence[int | None]) -> list[Variant]:
    """Return what is compared: every rank, the first one on all rows, too, and bf16 where the processor has it."""
    plain = [Variant(ranks[0], all_rows=True), *(Variant(rank) for rank in ranks)]
    return plain + [Variant(rank, "bf16") for rank in ranks if bf16_instructions()]


def whole(ranks: Sequence[int | None], rounds: int, steps: int, threads: int, folder: Path) -> dict[str, Any]:
    """Return the figures of all variants, in turns on the same batches, and their ratios to the first."""
    problem = write(Problem(26_000, steps * BATCH), folder)
    learned = read(problem, 0, None)
    cast = variants(ranks)
    learners = {one.name: _learner(one, learned) for one in cast}
    torch.set_num_threads(threads)
    flops = {name: _flops(one) for name, one in learners.items()}
    rates: dict[str, list[float]] = {name: [] for name in learners}
    limits = list[float]()
    for turn in range(rounds + 1):
        limits.append(_limit())
        for one in cast:
            rates[one.name].append(_rate(learners[one.name], steps))
            LOG.info("%d %s %.0f", turn, one.name, rates[one.name][-1])
    medians = {name: statistics.median(of[1:]) for name, of in rates.items()}
    limit = statistics.median(limits[1:])
    figures: dict[str, float] = {f"{name}.samples_per_processor_s": round(rate) for name, rate in medians.items()}
    figures |= {f"{name}.of_limit": round(flops[name] * rate / BATCH / limit, 3) for name, rate in medians.items()}
    first = rates[cast[0].name][1:]
    ratios = {
        f"{name}/{cast[0].name}": round(statistics.median(a / b for a, b in zip(of[1:], first, strict=True)), 3)
        for name, of in rates.items()
    }
    return {"figures": {**figures, "gemm_gflops_per_processor_s": round(limit / 1e9)}, "ratios": ratios}


def _learner(variant: Variant, learned: Any) -> camoe.Ours:
    model = camoe.MODELS["camoe"]
    assert isinstance(model, CamoeConfig)
    expert = model.expert.model_copy(update={"rank": variant.rank})
    camoe.MODELS["camoe"] = model.model_copy(update={"expert": expert})
    try:
        made = camoe.build({**SETTINGS, "training": {"precision": variant.precision}}, learned, learned.cut(0, BATCH))
    finally:
        camoe.MODELS["camoe"] = model
    if variant.all_rows:
        vars(made.train_step.model)["own_logits"] = partial(on_all_rows, made.train_step.model)
    return made


def _flops(learner: camoe.Ours) -> int:
    """Count the operations of one step."""
    with FlopCounterMode(display=False) as counter:
        learner.train([0])
    return int(counter.get_total_flops())


def _rate(learner: camoe.Ours, steps: int) -> float:
    started = time.process_time()
    learner.train(range(steps))
    return steps * BATCH / (time.process_time() - started)


def _limit() -> float:
    """Return the operations a processor second of large products in fp32."""
    one = torch.randn(SQUARE, SQUARE)
    torch.mm(one, one)
    started = time.process_time()
    for _ in range(PRODUCTS):
        torch.mm(one, one)
    return PRODUCTS * 2 * SQUARE**3 / (time.process_time() - started)
