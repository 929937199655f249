"""The command line that the jobs share."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path
from typing import NoReturn

from pydantic import TypeAdapter, ValidationError

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.contracts.days import parse_days
from camoe.contracts.errors import ConfigError
from camoe.contracts.places.counts import require_readable
from camoe.contracts.places.objects import path_at
from camoe.contracts.runs import RunId
from camoe.contracts.shown.commands import DEFAULT_CONFIG, program
from camoe.contracts.shown.redaction import redacted_override
from camoe.contracts.shown.suggestions import alike

# Where --help sends whoever looks for a key.
KEYS = "Every key, its default and meaning: docs/configuration.md"


def parser(description: str) -> argparse.ArgumentParser:
    """Make the parser of what every job takes: a configuration file and `key=value` overrides."""
    made = described(description)
    made.add_argument("--config", default=DEFAULT_CONFIG, help=f"pipeline configuration (default: {DEFAULT_CONFIG})")
    made.add_argument("overrides", nargs="*", metavar="key=value", help="for example out=/lake/run7 training.epochs=2")
    return made


def commands(
    description: str, run: Sequence[Callable[..., None]]
) -> tuple[argparse.ArgumentParser, dict[str, argparse.ArgumentParser]]:
    """Return the parser of a job of several commands, functions named `run_<command>`, and by name that of each.

    Each takes what every job takes, and its docstring is what it is said to do.
    """
    top = described(description)
    below = top.add_subparsers(metavar="COMMAND", required=True)
    made = {}
    for one in run:
        name, text = one.__name__.removeprefix("run_"), one.__doc__
        made[name] = below.add_parser(name, parents=[parser("")], add_help=False, description=text, help=text)
        made[name].set_defaults(run=one)
    return top, made


def described(description: str) -> argparse.ArgumentParser:
    """Make a parser that shows `description` as it is written, and says where each key is explained."""
    return Parser(program(), description=description, epilog=KEYS, formatter_class=argparse.RawDescriptionHelpFormatter)


class Parser(argparse.ArgumentParser):
    """A parser that says which option was meant by one that is not there."""

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser`."""
        wrong = re.match(r"unrecognized arguments: (--[^\s=]+)", message)
        meant = alike(wrong[1], self._option_string_actions) if wrong else None
        super().error(f"{message}; did you mean {meant}?" if meant else message)


def given_days(text: str) -> tuple[date, ...]:
    """Parse the days of a command line, as `parse_days` does."""
    try:
        return parse_days(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def given_names(text: str) -> tuple[str, ...]:
    """Parse names of a command line, between commas."""
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    if not names:
        raise argparse.ArgumentTypeError("give names, between commas")
    return names


def given_run_id(text: str) -> str:
    """Parse the name of a run."""
    try:
        return TypeAdapter(RunId).validate_python(text)
    except ValidationError:
        raise argparse.ArgumentTypeError(f"'{text}' must be at most 32 of A-Z a-z 0-9 . _ -") from None


def positive(text: str) -> int:
    """Parse a command-line number of at least one."""
    return _at_least(1, text)


def natural(text: str) -> int:
    """Parse a command-line number of at least zero."""
    return _at_least(0, text)


def _at_least(least: int, text: str) -> int:
    if not text.isdigit() or int(text) < least:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of at least {least}")
    return int(text)


def parse(made: argparse.ArgumentParser, argv: list[str]) -> argparse.Namespace:
    """Parse the command line, with options and overrides in any order."""
    return made.parse_intermixed_args(argv)


def given(arguments: argparse.Namespace) -> str:
    """Return the configuration and overrides as they were given, without secrets, for the next command."""
    return shlex.join(["--config", arguments.config, *map(redacted_override, arguments.overrides)])


def given_place(text: str) -> Path:
    """Return a local path, or one in an object store, that a command line names."""
    try:
        return path_at(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def next_line(command: str) -> str:
    """Return the last line that a job prints: what to do next."""
    return f"next:  {command}"


def load_config(arguments: argparse.Namespace, *, reads_input: bool = False) -> Config:
    """Load the configuration that the parsed command line names, for a job that `reads_input` or does not.

    Raises:
        ConfigError: as `load` does; or there is no folder of the raw lake, which the job reads.
        CountError: the counts of the stages before, which the job will add to, are damaged.
    """
    config = load(arguments.config, Config, arguments.overrides)
    require_readable(config.layout.counts)
    if reads_input and isinstance(config.raw, Path) and not config.raw.is_dir():
        raise ConfigError(_no_input(config))
    return config


def _no_input(config: Config) -> str:
    if config.input is not None:
        return f"there is no folder input={config.input}; correct input="
    return (
        "nothing says where the raw lake is: give input=FOLDER (make demo: INPUT=FOLDER); without it, it is looked for "
        f"in {config.raw}, where jobs/make_lake.py writes a synthetic one"
    )
