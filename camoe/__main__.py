"""`camoe COMMAND ...`: a job of the clone, from any folder, started as it has to be started.

camoe check --config conf/mine.yaml       as: python jobs/check.py --config conf/mine.yaml
camoe features --config conf/mine.yaml    as: spark-submit ... jobs/build_features.py --config conf/mine.yaml

A configuration that is not below this folder is looked for in the clone.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from camoe.contracts.errors import ConfigError
from camoe.contracts.shown.commands import (
    BY_NAME,
    DEFAULT_CONFIG,
    DEFAULT_LAKE,
    DEFAULT_MARKET,
    IN_SPARK,
    JOBS,
    LOCAL_SPARK,
)
from camoe.contracts.shown.printable import printable
from camoe.contracts.shown.suggestions import suggestion

ROOT = Path(__file__).resolve().parents[1]
# Settings of a shell that would lead to another Spark or Python than this project's.
OTHERS = ("SPARK_HOME", "PYSPARK_DRIVER_PYTHON")
# Jobs whose configuration is another than a pipeline's, and those that take none by this name.
OTHER_CONFIG = {"make_lake": DEFAULT_LAKE, "simulate": DEFAULT_MARKET}
WITHOUT_CONFIG = ("init", "study")
HELP = f"""usage: camoe COMMAND [arguments of the job]

{__doc__.partition(chr(10))[2].strip()}

commands: {", ".join(JOBS)}
COMMAND --help tells what each takes; docs/configuration.md explains every key of a configuration.
"""


def command_line(argv: Sequence[str]) -> list[str]:
    """Return the command that runs the job which `argv`, a command and its arguments, asks for.

    Raises:
        ConfigError: there is no such command, or no clone of the project around this package.
    """
    name, *given = argv
    if name not in JOBS:
        raise ConfigError(f"there is no command '{name}'; {suggestion(name, JOBS)}")
    job = JOBS[name]
    file = ROOT / "jobs" / f"{job}.py"
    if not file.is_file():
        raise ConfigError(f"{file} is not there: camoe is not installed from its clone; run make .venv/.ready there")
    arguments = [_found(argument) for argument in given]
    if job not in WITHOUT_CONFIG and not any(argument.split("=")[0] == "--config" for argument in arguments):
        arguments += ["--config", _found(OTHER_CONFIG.get(job, DEFAULT_CONFIG))]
    if not _in_spark(job, arguments):
        return [sys.executable, str(file), *arguments]
    submit = str(Path(sys.executable).with_name("spark-submit"))
    return [submit, "--properties-file", str(ROOT / LOCAL_SPARK), str(file), *arguments]


def _found(argument: str) -> str:
    """Return the argument with the configuration that it names in the clone, where it is there and not here."""
    key, equals, name = argument.rpartition("=")
    elsewhere = name.endswith(".yaml") and not Path(name).is_file() and (ROOT / name).is_file()
    return f"{key}{equals}{ROOT / name}" if elsewhere else argument


def _in_spark(job: str, arguments: Sequence[str]) -> bool:
    """Return whether spark-submit is to start the job; its --help needs none."""
    if not {"-h", "--help"}.isdisjoint(arguments):
        return False
    launcher = [*arguments, "--launcher", ""][[*arguments, "--launcher"].index("--launcher") + 1]
    chosen = {"score": "--local" not in arguments, "train": launcher == "spark", "maintain": "compact" in arguments[:1]}
    return chosen.get(job, job in IN_SPARK)


def main() -> None:
    """Become the job that the command line names."""
    argv = sys.argv[1:]
    if not argv or argv[0] in {"-h", "--help"}:
        print(HELP)
        return
    try:
        command = command_line(argv)
    except ConfigError as error:
        # Without what the jobs end with, which takes longer to load than this takes to run.
        print(f"error: {printable(str(error))}", file=sys.stderr)
        sys.exit(2)
    kept = {name: value for name, value in os.environ.items() if name not in OTHERS}
    os.execve(command[0], command, {**kept, "PYSPARK_PYTHON": sys.executable, BY_NAME: argv[0]})  # noqa: S606


if __name__ == "__main__":
    main()
