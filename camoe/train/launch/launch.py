"""Starts the workers of a training run: through Horovod's launcher on given hosts, or inside a Spark job."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from functools import partial
from pathlib import Path
from threading import Event, Thread

import horovod.spark
from horovod.runner.common.util.timeout import TimeoutException
from pyspark import SparkContext

from camoe.config.pipeline import Config
from camoe.contracts.errors import EXPLAINED, CamoeError
from camoe.stream.planning.world import World
from camoe.train.launch.attempts import LostWorkersError, horovod_hosts
from camoe.train.launch.outcome import Outcome, first_workers_line, spark_outcome
from camoe.train.launch.output import LineTee, following, log_file, show_rank0, tee_stdout
from camoe.train.launch.tether import tethered
from camoe.train.supervision.states import States, clear_states
from camoe.train.worker import work

# What the first worker of a run inside Spark has said, beside the workers' states.
SAID = "said.txt"
WORKER_MODULE = "camoe.train.worker"
START_TIMEOUT_S = 120
# What Horovod's launcher may take to look at the hosts before it starts a worker.
LAUNCH_S = 30
# Defaults that the caller's environment overrides. Horovod's background thread wakes every millisecond otherwise, and
# the allocator gives the step's large buffers back to the system and takes them anew: together half of a step's time.
# An MLflow server that is away is asked again for some seconds, and not for minutes in which the others wait.
WORKER_ENVIRONMENT = {
    "HOROVOD_CYCLE_TIME": "3",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_TOP_PAD_": "67108864",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}


def launch_with_horovod(arguments: Sequence[str], slots: Sequence[str], timeout_s: float, log: Path) -> None:
    """Run the worker module with `arguments` on the host of each of `slots`.

    Everything the workers say goes to `log`; the first worker's own lines are shown. Once one has begun, they watch
    one another and themselves; all are ended if none has within `timeout_s` and `LAUNCH_S`, or when this process
    is gone.

    Raises:
        LostWorkersError: a worker was killed, or the others waited too long for it; the message names it.
        TrainingError: a worker ended with an error; the message names the log and the first error line.
    """
    states = log.parent / "workers"
    log.parent.mkdir(parents=True, exist_ok=True)
    clear_states(states)
    launcher = str(Path(sys.executable).with_name("horovodrun"))
    where = ["-np", str(len(slots)), "-H", horovod_hosts(slots)]
    environment = WORKER_ENVIRONMENT | os.environ | {"PYTHONUNBUFFERED": "1"}
    outcome = Outcome()
    with (
        log_file(log) as keep,
        subprocess.Popen(
            [launcher, "--gloo", *where, sys.executable, "-m", WORKER_MODULE, *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment,
        ) as process,
        tethered(process),
        show_rank0() as show,
        _ended_unless(outcome.begun, process, timeout_s + LAUNCH_S) as late,
    ):
        for line in process.stdout or ():
            keep(line)
            outcome.note(line.rstrip("\n"))
            said = first_workers_line(line.rstrip("\n"))
            if said is not None:
                show(said)
    if late.is_set():
        ranks = range(len(slots))
        names = ", ".join(f"worker {rank}" for rank in ranks)
        raise LostWorkersError(
            f"{names} had not begun {timeout_s + LAUNCH_S:g} s after the launch (all output is in {log})",
            frozenset(ranks),
        )
    if process.returncode != 0:
        raise outcome.error(process.returncode, log, states)


@contextmanager
def _ended_unless(begun: Event, process: subprocess.Popen[str], timeout_s: float) -> Iterator[Event]:
    """While the block runs, end `process` if `begun` is not set within `timeout_s`; what is given is set then."""
    late = Event()

    def wait() -> None:
        if not begun.wait(timeout_s):
            late.set()
            process.terminate()

    waiting = Thread(target=wait, daemon=True, name="begun")
    waiting.start()
    try:
        yield late
    finally:
        begun.set()
        waiting.join()


def launch_with_spark(config: Config, table_version: int, run: str, workers: int, log: Path) -> None:
    """Run the workers as `workers` tasks of the active Spark session.

    What they say goes to `log`, some of it only when they end; the first worker's own lines are shown at once.

    Raises:
        LostWorkersError: a worker was killed; the message names it.
        TrainingError: a worker failed, or the session had no room for all of them at once.
    """
    states = log.parent / "workers"
    log.parent.mkdir(parents=True, exist_ok=True)
    clear_states(states)
    # Spark sets it by itself, to the cores of a task, one by default. None takes that back: workers share the cores.
    threads = SparkContext.getOrCreate().getConf().get("spark.executorEnv.OMP_NUM_THREADS")
    # An error of writing would end the workers, so what they say does not go into the file itself.
    with (
        log_file(log) as keep,
        closing(LineTee(keep)) as output,
        show_rank0() as show,
        following(states / SAID, partial(_show_own, show)),
    ):
        try:
            horovod.spark.run(
                _spark_worker,
                args=(config, table_version, run),
                num_proc=workers,
                use_gloo=True,
                start_timeout=START_TIMEOUT_S,
                env=WORKER_ENVIRONMENT | os.environ | {"OMP_NUM_THREADS": threads},
                stdout=output,
                stderr=output,
            )
        except (RuntimeError, TimeoutException) as error:
            raise spark_outcome(str(error), log) from None


def _show_own(show: Callable[[str], None], line: str) -> None:
    if line.startswith("train:"):
        show(line)


def _spark_worker(config: Config, table_version: int, run: str) -> None:
    states, world = config.layout.logs / "workers", World.launched()
    try:
        with tee_stdout(states / SAID) if world.rank == 0 else nullcontext():
            work(config, table_version, run)
    except CamoeError as error:
        # One line for the log, where Horovod would print a traceback, and a file for the launcher.
        print(f"error: {error}", file=sys.stderr, flush=True)
        States(states, world).explain(str(error))
        sys.exit(EXPLAINED)
