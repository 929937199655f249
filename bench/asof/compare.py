"""One case: every system on the same files with the same settings, in turns."""

from __future__ import annotations

import logging
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.asof.answers import Verdict, judge, right_answers
from bench.asof.data import Case, feature_names, write
from bench.asof.peers import start
from bench.processes import TimeLimitError, Worker

OURS = "camoe"
LOG = logging.getLogger("bench")


@dataclass(frozen=True)
class Settings:
    """Settings of a comparison. `limit_s` is the time that a system may take for one run."""

    systems: tuple[str, ...]
    rounds: int
    cores: int
    memory: str
    limit_s: float

    def spark(self) -> dict[str, str]:
        """Return the Spark settings of all systems."""
        return {
            "spark.master": f"local[{self.cores}]",
            "spark.driver.memory": self.memory,
            "spark.sql.shuffle.partitions": str(2 * self.cores),
            "spark.sql.session.timeZone": "UTC",
            # As the job's own session has them; all systems gain by them.
            "spark.sql.constraintPropagation.enabled": "false",
            "spark.python.sql.dataFrameDebugging.enabled": "false",
            "spark.ui.enabled": "false",
            "spark.ui.showConsoleProgress": "false",
        }


@dataclass
class Result:
    """A system's seconds by round, on the clock and of the processor (the warm-up left out), and its verdict."""

    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    verdict: Verdict | None = None
    note: str = ""
    failure: str = ""


def compare(case: Case, settings: Settings) -> dict[str, Result]:
    """Run every system on `case`: one warm-up, whose answer is checked, then `rounds` in turns."""
    results = {name: Result() for name in settings.systems}
    with tempfile.TemporaryDirectory() as home, ExitStack() as stack:
        folder = Path(home)
        write(case, folder)
        right = right_answers(folder)
        config = {"spark": settings.spark(), "features": feature_names(case)}
        running: dict[str, Worker] = {}
        for name in settings.systems:
            log = folder / f"{name}.log"
            running[name] = stack.enter_context(start(name, folder, config, log, settings.limit_s))
        running[OURS].tell(f"hashes {folder / 'hashes'}")
        for turn in range(settings.rounds + 1):
            for name in [name for name in running if not results[name].failure]:
                _turn(turn, running[name], results[name], folder / f"answer-{name}")
                LOG.info("%s round %d: %s", name, turn, results[name])
                if turn == 0 and not results[name].failure:
                    results[name].verdict = judge(folder / f"answer-{name}", folder / "hashes", folder, right)
    return results


def _turn(turn: int, system: Worker, result: Result, answer: Path) -> None:
    try:
        told = system.tell("run" if turn else f"answer {answer}")
    except TimeLimitError as error:
        result.failure = str(error)
        return
    result.note = told["note"]
    if turn:
        result.seconds.append(told["seconds"])
        result.processor.append(told["processor_s"])


def figures(case: str, rows: int, results: dict[str, Result]) -> tuple[dict[str, Any], dict[str, float]]:
    """Return figures (seconds, rows/s, verdicts) and ratios (their time over ours) of one case."""
    found: dict[str, Any] = {}
    best = {name: min(result.seconds) for name, result in results.items() if result.seconds}
    for name, result in results.items():
        if name in best:
            found[f"{case}.{name}.seconds"] = round(best[name], 3)
            found[f"{case}.{name}.rows_per_s"] = round(rows / best[name])
            found[f"{case}.{name}.processor_s"] = round(min(result.processor), 3)
        if result.verdict is not None:
            for key, value in vars(result.verdict).items():
                found[f"{case}.{name}.{key}"] = value
    ratios = {f"{case}.{name}": round(seconds / best[OURS], 3) for name, seconds in best.items() if name != OURS}
    return found, ratios
