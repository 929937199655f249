"""Names under which `camoe COMMAND` starts the jobs, and the command lines that the jobs show for one another."""

from __future__ import annotations

import os
from collections.abc import Mapping

DEFAULT_CONFIG = "conf/synthetic.yaml"
DEFAULT_LAKE = "conf/lake/default.yaml"
DEFAULT_MARKET = "conf/markets/default.yaml"
LOCAL_SPARK = "conf/spark/local.conf"
SUBMIT = f"spark-submit --properties-file {LOCAL_SPARK}"
# The job of each command.
JOBS: Mapping[str, str] = {
    "check": "check",
    "init": "init",
    "lake": "make_lake",
    "features": "build_features",
    "columns": "add_columns",
    "train": "train",
    "score": "score",
    "evaluate": "evaluate",
    "compare": "compare",
    "models": "models",
    "maintain": "maintain",
    "demo": "demo",
    "study": "study",
    "experts": "experts",
    "replay": "replay",
    "simulate": "simulate",
    "compress": "compress",
    "publish": "publish",
}
# Jobs that spark-submit starts.
IN_SPARK = frozenset(("make_lake", "build_features", "add_columns", "score", "evaluate", "replay"))
# Set by `camoe COMMAND`, so that a job's own messages name commands, and not files of the clone.
BY_NAME = "CAMOE_COMMAND"


def program() -> str | None:
    """Return the name of this job in its --help: that of its command, or None where it is its file's."""
    return f"camoe {os.environ[BY_NAME]}" if BY_NAME in os.environ else None


def job_line(job: str, arguments: str = "") -> str:
    """Return the command that runs jobs/`job`.py; `arguments` are quoted for a shell already.

    It is one of `camoe`'s where that started this job, else one that is given in the clone.
    """
    if BY_NAME in os.environ:
        start = f"camoe {next(name for name, file in JOBS.items() if file == job)}"
    else:
        start = f"{SUBMIT if job in IN_SPARK else 'python'} jobs/{job}.py"
    return f"{start} {arguments}".rstrip()
