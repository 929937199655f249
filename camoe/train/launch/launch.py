"""Starts the workers of a training run: through Horovod's launcher on given hosts, or inside a Spark job."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import closing, nullcontext
from functools import partial
from pathlib import Path

import horovod.spark
from horovod.runner.common.util.timeout import TimeoutException
from pyspark import SparkContext

from camoe.config.pipeline import Config
from camoe.contracts.errors import ConfigError
from camoe.contracts.shown.redaction import redacted_override
from camoe.stream.planning.world import World
from camoe.train.launch.attempts import horovod_hosts
from camoe.train.launch.exits import WorkerExits, spark_error
from camoe.train.launch.lines import parse_line, worker_line
from camoe.train.launch.listeners import OneMachine, close_services, on_this_machine
from camoe.train.launch.output import LineTee, following, log_file, show_rank0, tee_stdout
from camoe.train.launch.process import WORKER_ENVIRONMENT, carried, lines, started
from camoe.train.launch.silence import SilenceWatch
from camoe.train.supervision.heartbeats import clear, worker_folder
from camoe.train.supervision.messages import MESSAGES, Runs, StepProgress, read_endings
from camoe.train.worker import OVERRIDES, explained_to_launcher, work

# What rank 0 of a run inside Spark has printed, beside the workers' heartbeats.
RANK0_OUTPUT = "said.txt"
WORKER_MODULE, LAUNCHER_MODULE = "camoe.train.worker", "camoe.train.launch.horovodrun"
START_TIMEOUT_S = 120


def launch_with_horovod(
    config: Config,
    arguments: Sequence[str],
    overrides: Sequence[str],
    slots: Sequence[str],
    log: Path,
    *,
    interfaces: str | None = None,
) -> None:
    """Run the worker module with `arguments` and the `overrides` of `config` on the host of each of `slots`.

    They speak over the network `interfaces`, names with commas; None has Horovod find those that all hosts have.

    Everything the workers say goes to `log`; the first worker's own lines are shown. Once one has begun, they watch
    one another and themselves. All are ended by a `SilenceWatch`, and when this process is gone.

    Raises:
        LostWorkersError: a worker was killed, or the others waited too long for it; the message names it.
        TrainingError: a worker ended with an error; the message names the log and the first error line.
        ConfigError: an override holds a secret, which all users of several hosts could read.
    """
    if [*map(redacted_override, overrides)] != [*overrides] and not on_this_machine(slots):
        raise ConfigError(
            "an override holds a secret, and hosts are given by -H: all their users could read it in the workers' "
            "command lines; write it into the configuration file, or into the environment on those hosts"
        )
    folder = _fresh_folder(log)
    where = ["--gloo", "--disable-cache", "-np", str(len(slots)), "-H", horovod_hosts(slots)]
    where += ["--network-interfaces", interfaces] if interfaces and not on_this_machine(slots) else []
    environment = _environment(config) | {"PYTHONUNBUFFERED": "1", OVERRIDES: json.dumps(overrides)}
    command = [sys.executable, "-m", LAUNCHER_MODULE, *where, sys.executable, "-m", WORKER_MODULE, *arguments]
    exits, silence = WorkerExits(), SilenceWatch(len(slots), config.training.stall_timeout_s)
    with log_file(log) as keep, show_rank0() as show, started(command, environment) as (process, output):
        for raw in lines(output, silence.poll_s):
            line = parse_line(raw or "")
            silence.note(line.message)
            if raw is not None and not isinstance(line.message, Runs):
                keep(f"{line.logged}\n")
                exits.note(line)
                if line.for_user is not None:
                    show(line.for_user)
            if silent := silence.too_long():
                exits.note_silence(silent)
                process.terminate()
    # Horovod's launcher, asked to end, may end as if all were well.
    if process.returncode != 0 or exits.endings:
        raise exits.error(process.returncode, log, folder)


def _fresh_folder(log: Path) -> Path:
    """Make the folder of `log`, and return that of the workers beside it, without what an earlier attempt left."""
    log.parent.mkdir(parents=True, exist_ok=True)
    folder = worker_folder(log.parent)
    clear(folder)
    return folder


def _environment(config: Config) -> dict[str, str]:
    """Return the environment of the workers, without the key of hashed identifiers, which they do not need."""
    keyed = config.sources.keyed_hash
    given = {name: value for name, value in os.environ.items() if keyed is None or name != keyed.key_env}
    return WORKER_ENVIRONMENT | given | {MESSAGES: "1"}


def launch_with_spark(config: Config, table_version: int, run: str, workers: int, log: Path) -> None:
    """Run the workers as `workers` tasks of the active Spark session.

    What they say goes to `log`, some of it only when they end; the first worker's own lines are shown at once.

    Raises:
        LostWorkersError: a worker was killed; the message names it.
        TrainingError: a worker failed, or the session had no room for all of them at once.
    """
    folder, exits = _fresh_folder(log), WorkerExits()
    # Spark sets it by itself, to the cores of a task, one by default. None takes that back: workers share the cores.
    context = SparkContext.getOrCreate()
    threads = context.getConf().get("spark.executorEnv.OMP_NUM_THREADS")
    one_machine = str(context.master).startswith("local[")
    close_services(one_machine=one_machine)
    environment = _environment(config)
    # An error of writing would end the workers, so what they say does not go into the file itself.
    with (
        log_file(log) as keep,
        closing(LineTee(partial(_note_lines, keep, exits))) as output,
        show_rank0() as show,
        following(folder / RANK0_OUTPUT, partial(_show_rank0_line, show)),
    ):
        try:
            horovod.spark.run(
                _spark_worker,
                args=(config, table_version, run),
                num_proc=workers,
                use_gloo=True,
                start_timeout=START_TIMEOUT_S,
                env=(environment if one_machine else carried(environment)) | {"OMP_NUM_THREADS": threads},
                nics=OneMachine() if one_machine else None,
                stdout=output,
                stderr=output,
                executable=sys.executable if one_machine else context.pythonExec,
            )
        except (RuntimeError, TimeoutException) as error:
            raise spark_error(str(error), exits, read_endings(folder), log, folder) from None


def _note_lines(keep: Callable[[str], None], exits: WorkerExits, text: str) -> None:
    """Note and keep the lines of `text`, each ended."""
    found = [parse_line(line) for line in text.removesuffix("\n").split("\n")]
    for line in found:
        exits.note(line)
    keep("".join(f"{line.logged}\n" for line in found if not isinstance(line.message, Runs)))


def _show_rank0_line(show: Callable[[str | StepProgress], None], text: str) -> None:
    output = worker_line(text, 0, "stdout").for_user
    if output is not None:
        show(output)


def _spark_worker(config: Config, table_version: int, run: str) -> None:
    world, folder = World.launched(), worker_folder(config.layout.logs)
    with (
        explained_to_launcher(folder),
        tee_stdout(folder / RANK0_OUTPUT) if world.rank == 0 else nullcontext(),
    ):
        work(config, table_version, run)
