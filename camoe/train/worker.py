"""One Horovod worker: `horovodrun --gloo -np 2 python -m camoe.train.worker --config conf/synthetic.yaml`.

It is watched from the moment it knows its configuration until its process is gone. So what takes long to load is
loaded under the watch, and not by this file.
"""

from __future__ import annotations

import contextlib
import importlib
import sys
import warnings
from collections.abc import Iterator, Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType

from camoe.config.command_line import load_config, parse, parser
from camoe.config.pipeline import Config
from camoe.contracts.errors import exit_with
from camoe.stream.planning.world import World
from camoe.train.batch import batch_said, for_workers
from camoe.train.supervision.messages import begins
from camoe.train.supervision.sentinel import end_within
from camoe.train.supervision.states import States
from camoe.train.supervision.watchdog import Watchdog


def main(argv: list[str]) -> None:
    """Train as the worker that Horovod's launcher made of this process."""
    # Petastorm reads through an old pyarrow interface: thirty such lines a reader, none of which a user can act on.
    warnings.filterwarnings("ignore", category=FutureWarning, module="petastorm")
    options = parser(__doc__ or "")
    options.add_argument("--table-version", type=int, help="version of the training table (default: the newest)")
    options.add_argument("--run", help="name of a run whose newest checkpoint is continued (default: a new run)")
    chosen = parse(options, argv)
    asked, world = load_config(chosen), World.launched()
    # jobs/train.py has decided it already.
    if world.rank == 0 and asked.training.worker_batch_size is not None:
        print(f"train: {batch_said(asked.training, world.size)}", flush=True)
    work(for_workers(asked, world.size), chosen.table_version, chosen.run)


def work(config: Config, table_version: int | None, run: str | None) -> None:
    """Load what training needs, then train; the last thing that the process does.

    See `camoe.train.run.run_worker`. Whether it trains or fails, the process then has `training.stall_timeout_s`
    seconds to end: what is left running behind it, Horovod's threads among it, may hang too.
    """
    timeout_s, folder, world = config.training.stall_timeout_s, config.layout.logs / "workers", World.launched()
    with Watchdog(world, timeout_s, folder) as watchdog:
        print(begins(world), file=sys.stderr, flush=True)
        try:
            with _progress_by_module(watchdog):
                training = importlib.import_module("camoe.train.run")
            training.run_worker(config, watchdog, table_version, run)
        finally:
            end_within(world.rank, timeout_s, States(folder, world).reason)


@contextlib.contextmanager
def _progress_by_module(watchdog: Watchdog) -> Iterator[None]:
    """While the block runs, each module that is loaded is a sign of progress: all of them may take a minute."""
    finder = _Progress(watchdog)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Progress(MetaPathFinder):
    def __init__(self, watchdog: Watchdog) -> None:
        self._watchdog = watchdog

    def find_spec(self, name: str, _path: Sequence[str] | None, _target: ModuleType | None = None) -> None:
        """Find nothing, but tell that something is looked for."""
        self._watchdog.alive(f"loading {name}")


if __name__ == "__main__":
    exit_with(main)
