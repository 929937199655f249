"""Samples per second and memory of every system, in turns on the same batches."""

from __future__ import annotations

import logging
import statistics
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.processes import TimeLimitError, Worker
from bench.training.data import Problem, write
from bench.training.peers import LIBRARIES, Settings, start
from bench.training.rows import BATCH

LOG = logging.getLogger("bench")
ROWWISE = {"embedding_optimiser": "rowwise_adagrad"}
LIMIT_S = 600


@dataclass(frozen=True)
class Contender:
    """A system with a model, and what it overrides in this project's training configuration."""

    name: str
    system: str
    model: str
    training: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """Amount to measure: `rounds` turns of `steps` steps each, over `batches` different batches in memory."""

    rounds: int
    steps: int
    batches: int
    threads: int
    exponent: float


@dataclass
class Runs:
    """A contender's samples per second and per processor second by round, its memory, or why it has none."""

    second: list[float] = field(default_factory=list)
    processor_second: list[float] = field(default_factory=list)
    peak_mb: float = 0.0
    failure: str = ""


def contenders(model: str, *, bf16: bool) -> list[Contender]:
    """Return who takes part with `model`, which is mmoe or dcn; this project's whole model goes beside mmoe."""
    ours = [Contender("camoe", "camoe", model), Contender("camoe_rowwise", "camoe", model, ROWWISE)]
    if model == "mmoe":
        ours.append(Contender("camoe_whole", "camoe", "camoe"))
    if bf16:
        ours.append(Contender("camoe_bf16", "camoe", model, {"precision": "bf16"}))
    return ours + [Contender(name, name, model) for name in (*LIBRARIES, "torchrec")]


def compare(cast: Sequence[tuple[Contender, Path]], plan: Plan, folder: Path) -> dict[str, Runs]:
    """Run each contender on the problem in its folder: a warm-up, then rounds in turns. One that fails drops out."""
    runs = {one.name: Runs() for one, _ in cast}
    with ExitStack() as stack:
        running: dict[str, Worker] = {}
        for one, problem in cast:
            settings = Settings(
                one.model, plan.batches * BATCH, plan.threads, BATCH, 1_000_000, training=dict(one.training)
            )
            try:
                worker = start(one.system, problem, settings, folder / f"{one.name}.log", LIMIT_S)
                running[one.name] = stack.enter_context(worker)
            except (subprocess.CalledProcessError, RuntimeError, TimeLimitError) as error:
                runs[one.name].failure = why(error)
                LOG.info("%s does not run: %s", one.name, runs[one.name].failure)
        for turn in range(plan.rounds + 1):
            for name in list(running):
                if not _turn(turn, plan.steps, running[name], runs[name]):
                    del running[name]
    return runs


def _turn(turn: int, steps: int, worker: Worker, runs: Runs) -> bool:
    try:
        told = worker.tell(f"train {turn * steps} {steps}")
        runs.peak_mb = worker.tell("memory")["peak_mb"]
    except (RuntimeError, TimeLimitError) as error:
        runs.failure = why(error)
        return False
    if turn:
        runs.second.append(steps * BATCH / told["seconds"])
        runs.processor_second.append(steps * BATCH / told["processor_s"])
    return True


def why(error: Exception) -> str:
    """Return what a system that did not install, start or answer said last."""
    said = error.stderr if isinstance(error, subprocess.CalledProcessError) else str(error)
    return " ".join(said.split())[-300:]


def speed(vocabularies: Sequence[int], models: Sequence[str], plan: Plan, folder: Path, *, bf16: bool) -> Findings:
    """Measure all vocabularies and models. Beside the larger vocabularies this project's smallest one runs again."""
    problems = {v: write(Problem(v, plan.batches * BATCH, plan.exponent), folder / str(v)) for v in vocabularies}
    found = Findings()
    for vocabulary, problem in problems.items():
        for model in models:
            cast = [(one, problem) for one in contenders(model, bf16=bf16 and vocabulary == BF16_VOCABULARY)]
            if vocabulary > min(problems):
                cast.append((Contender(SMALLEST, "camoe", model), problems[min(problems)]))
            runs = compare(cast, plan, folder)
            found.add(f"{model}.{vocabulary}", runs)
    return found


BF16_VOCABULARY = 2_600_000
SMALLEST = "camoe_smallest"


@dataclass
class Findings:
    """Figures, ratios (above 1 is better for this project) and the reasons of what did not run."""

    figures: dict[str, float] = field(default_factory=dict)
    ratios: dict[str, float] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)

    def add(self, case: str, runs: Mapping[str, Runs]) -> None:
        """Add the medians of a case, and the medians of the rounds' ratios."""
        for name, one in runs.items():
            if one.failure:
                self.failures[f"{case}.{name}"] = one.failure
            if one.second:
                self.figures[f"{case}.{name}.samples_per_s"] = round(statistics.median(one.second))
                self.figures[f"{case}.{name}.samples_per_processor_s"] = round(statistics.median(one.processor_second))
                self.figures[f"{case}.{name}.peak_mb"] = round(one.peak_mb)
                LOG.info("%s %-14s %s", case, name, self.said(case, name))
        for clock in ("second", "processor_second"):
            self._compare(case, runs, clock)

    def said(self, case: str, name: str) -> str:
        """Return the figures of one contender in a line."""
        return "  ".join(f"{key.rpartition('.')[2]} {value:,.0f}" for key, value in self.figures.items()
                         if key.startswith(f"{case}.{name}."))  # fmt: skip

    def _compare(self, case: str, runs: Mapping[str, Runs], clock: str) -> None:
        def ratio(ours: str, other: str) -> float | None:
            pairs = zip(*(getattr(runs[name], clock) if name in runs else [] for name in (ours, other)), strict=False)
            return statistics.median([one / two for one, two in pairs] or [0]) or None

        against = {f"camoe/{name}": ratio("camoe", name) for name in LIBRARIES}
        known = [value for value in against.values() if value]
        against["camoe/best_library"] = min(known) if len(known) == len(LIBRARIES) else None
        bf16 = [value for name in LIBRARIES if (value := ratio("camoe_bf16", name))]
        against["camoe_bf16/best_library"] = min(bf16) if bf16 else None
        against["camoe_rowwise/torchrec"] = ratio("camoe_rowwise", "torchrec")
        against[f"camoe/{SMALLEST}"] = ratio("camoe", SMALLEST)
        self.ratios |= {f"{case}.{clock}.{name}": round(value, 3) for name, value in against.items() if value}
