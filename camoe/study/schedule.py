"""Runs trials, some at a time, each in a process of its own; what is done stays done."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from camoe.config.ending import EXPLAINED, below
from camoe.report.text import span
from camoe.study.trial import RESULT, Result, StudyError, Trial
from camoe.train.distributed.cores import usable_cores
from camoe.train.launch.process import WORKER_ENVIRONMENT
from camoe.train.supervision.watchdog import EXIT_CODE as STALLED

POLL_S = 0.2
# What a process may take to end once its trial is done.
END_S = 60.0
PROCESS = (sys.executable, "-m", "camoe.study.process")


@dataclass
class Progress:
    """Tells how many of `total` trials are done, each once, and how long the rest will take at `jobs` at a time."""

    total: int
    jobs: int
    seconds: list[float] = field(default_factory=list)
    told: set[Path] = field(default_factory=set)

    def finished(self, trial: Trial, result: Result) -> None:
        """Count and tell one more; the one that tuning chose is asked for again, and told before."""
        if trial.folder in self.told:
            return
        self.told.add(trial.folder)
        self.seconds.append(result.seconds)
        done = len(self.told)
        left = (self.total - done) * sum(self.seconds) / len(self.seconds) / self.jobs
        how = "given up" if result.given_up else f"score {result.score:.5f}" if result.score is not None else "done"
        took = f"took {span(result.seconds)}; about {span(left)} left"
        print(f"study: {done} of {self.total}  {trial.key}: {how}, {took}", flush=True)


@dataclass(frozen=True)
class _Running:
    trial: Trial
    process: subprocess.Popen[bytes]
    stack: ExitStack


def run(trials: Sequence[Trial], jobs: int, progress: Progress, process: Sequence[str] = PROCESS) -> list[Result]:
    """Do `trials`, `jobs` at a time, but those that are done; return the results of all, in their order.

    `process` is the command that is given a trial's folder.

    Raises:
        StudyError: a trial failed; the others are done first, and a later run begins with those that are not done.
    """
    found = {trial.folder: trial.result() for trial in trials}
    for trial, result in ((trial, found[trial.folder]) for trial in trials):
        if result is not None:
            progress.finished(trial, result)
    waiting = [trial for trial in trials if found[trial.folder] is None]
    faults, running = list[str](), list[_Running]()
    with ExitStack() as stack:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(_started(waiting.pop(0), process, jobs, stack))
            ended = [one for one in running if _has_ended(one)]
            for one in ended:
                running.remove(one)
                one.stack.close()
                result = found[one.trial.folder] = one.trial.result()
                if result is not None:
                    progress.finished(one.trial, result)
                else:
                    faults.append(_fault(one))
                    print(f"study: {faults[-1]}", flush=True)
            time.sleep(0 if ended else POLL_S)
    if faults:
        raise StudyError(f"{len(faults)} trials failed, the first one: {faults[0]}; mend it and run the study again")
    return [result for result in (found[trial.folder] for trial in trials) if result is not None]


def _started(trial: Trial, process: Sequence[str], jobs: int, outer: ExitStack) -> _Running:
    trial.log.parent.mkdir(parents=True, exist_ok=True)
    trial.tell()
    stack = outer.enter_context(ExitStack())
    log = stack.enter_context(trial.log.open("a", encoding="utf-8"))
    command = [*process, str(trial.folder)]
    # stdout goes where stderr goes: into the log.
    begun = stack.enter_context(below(command, _environment(jobs), stdout=log.fileno(), stderr=log))
    return _Running(trial, begun, stack)


def _has_ended(one: _Running) -> bool:
    """Return whether the process of a trial is gone; one that does not go when its trial is done is killed."""
    with suppress(FileNotFoundError):
        if time.time() - (one.trial.folder / RESULT).stat().st_mtime > END_S:
            one.process.kill()
            one.process.wait()
    return one.process.poll() is not None


def _environment(jobs: int) -> Mapping[str, str]:
    """Return the environment of a trial's process, with its share of the cores as threads."""
    threads = max(1, usable_cores() // jobs)
    return WORKER_ENVIRONMENT | {"OMP_NUM_THREADS": str(threads)} | os.environ


def _fault(one: _Running) -> str:
    """Return what a trial died of, in a line."""
    log, code = one.trial.log, one.process.returncode
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    said = [line for line in lines if line.startswith("error: ")]
    why = f"it made no progress and ended with code {code}" if code == STALLED else f"it ended with code {code}"
    if said and code == EXPLAINED:
        why = said[-1].removeprefix("error: ")
    return f"{one.trial.key}: {why} (log: {log})"
