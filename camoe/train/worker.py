"""One Horovod worker: `horovodrun --gloo -np 2 python -m camoe.train.worker --config conf/synthetic.yaml`."""

from __future__ import annotations

import warnings

from camoe.config import load_config, parse, parser
from camoe.contracts.errors import exit_with
from camoe.train.run import run_worker


def main(argv: list[str]) -> None:
    """Train as the worker that Horovod's launcher made of this process."""
    # Petastorm reads through an old pyarrow interface: thirty such lines a reader, none of which a user can act on.
    warnings.filterwarnings("ignore", category=FutureWarning, module="petastorm")
    options = parser(__doc__ or "")
    options.add_argument("--table-version", type=int, help="version of the training table (default: the newest)")
    options.add_argument("--run", help="name of a run whose newest checkpoint is continued (default: a new run)")
    chosen = parse(options, argv)
    run_worker(load_config(chosen), chosen.table_version, chosen.run)


if __name__ == "__main__":
    exit_with(main)
