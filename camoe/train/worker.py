"""One Horovod worker: `horovodrun ... python -m camoe.train.worker --config conf/synthetic.yaml`, see `jobs/train.py`.

It is watched from the moment it knows its configuration until its process is gone. So what takes long to load is
loaded under the watch, and not by this file.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

from camoe.config.command_line import load_config, parse, parser
from camoe.config.ending import EXPLAINED
from camoe.config.pipeline import Config
from camoe.contracts.errors import CamoeError
from camoe.contracts.shown.redaction import redacted
from camoe.stream.planning.world import World
from camoe.train.batch import describe_batch, for_workers
from camoe.train.holds import folder_alone
from camoe.train.supervision.alarm import Alarm
from camoe.train.supervision.heartbeats import worker_folder
from camoe.train.supervision.messages import Explained, Runs, leave_ending, send
from camoe.train.supervision.watchdog import Watchdog

# What PyTorch and Horovod may take to load from a cold disk, beside the timeout.
LOADING_S = 300
# The launcher's overrides, as JSON: the environment of a process is shown to its user alone, its command line to all.
OVERRIDES = "CAMOE_OVERRIDES"


def main(argv: list[str]) -> None:
    """Train as the worker that Horovod's launcher made of this process."""
    options = parser(__doc__ or "")
    options.add_argument("--table-version", type=int, help="version of the training table (default: the newest)")
    options.add_argument("--run", help="name of a run whose newest checkpoint is continued (default: a new run)")
    chosen = parse(options, argv)
    chosen.overrides += json.loads(os.environ.get(OVERRIDES, "[]"))
    asked, world = load_config(chosen), World.launched()
    # jobs/train.py has decided it already.
    if world.rank == 0 and asked.training.worker_batch_size is not None:
        print(f"train: {describe_batch(asked.training, world.size)}", flush=True)
    by_hand = world.rank == 0 and OVERRIDES not in os.environ
    with folder_alone(asked.layout) if by_hand else contextlib.nullcontext():
        work(for_workers(asked, world.size), chosen.table_version, chosen.run)


def work(config: Config, table_version: int | None, run: str | None) -> None:
    """Load what training needs, then train; the last thing that the process does.

    See `camoe.train.run.run_worker`. Whether it trains or fails, the process then has `training.stall_timeout_s`
    seconds to end: what is left running behind it, Horovod's threads among it, may hang too.
    """
    timeout_s, folder, world = config.training.stall_timeout_s, worker_folder(config.layout.logs), World.launched()
    # What registers itself first comes last.
    atexit.register(send, Runs(world.rank, None), sys.stderr)
    try:
        with Watchdog(world, timeout_s, folder, LOADING_S) as watchdog:
            from camoe.train.run import run_worker  # noqa: PLC0415 - it loads PyTorch and Horovod: under the watch

            run_worker(config, watchdog, table_version, run)
    finally:
        Alarm(timeout_s).set()


@contextlib.contextmanager
def explained_to_launcher(folder: Path | None = None) -> Iterator[None]:
    """End the process when the block raises a `CamoeError`, which the launcher is told; also by a file in `folder`."""
    try:
        yield
    except CamoeError as error:
        ending = Explained(World.launched().rank, redacted(" ".join(str(error).splitlines())))
        send(ending, sys.stderr)
        if folder is not None:
            leave_ending(folder, ending)
        sys.exit(EXPLAINED)


if __name__ == "__main__":
    with explained_to_launcher():
        main(sys.argv[1:])
