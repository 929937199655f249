"""Errors that a user can act on: each message says what is wrong, where, and what to do."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import NoReturn

from camoe.contracts.shown.redaction import redacted

# The exit code of a job that has said what is wrong.
EXPLAINED = 2


class CamoeError(Exception):
    """Base of every error that the user can mend; the jobs print it as one message and exit with `EXPLAINED`."""


class ConfigError(CamoeError):
    """The configuration is wrong: names the key and the file."""


class InputError(CamoeError):
    """The raw input is missing, empty, or not what the source mapping says."""


class SnapshotError(CamoeError):
    """A table version cannot be read safely."""


class StreamError(CamoeError):
    """The stream did not deliver exactly the rows of its plan."""


class TrainingError(CamoeError):
    """Training cannot start or go on."""


class BundleError(CamoeError):
    """A model bundle is missing, damaged, or does not fit its input."""


def error_text(error: BaseException) -> str:
    """Return the first line of what an error says; its type's name where it says nothing."""
    return next(iter(str(error).splitlines()), type(error).__name__)


def exit_with(main: Callable[[list[str]], None]) -> NoReturn:
    """Run a job's main over the command line; a `CamoeError` becomes one line on stderr and exit code `EXPLAINED`."""
    try:
        main(sys.argv[1:])
    except CamoeError as error:
        print(f"error: {redacted(str(error))}", file=sys.stderr, flush=True)
        sys.exit(EXPLAINED)
    sys.exit(0)


class MaintenanceError(CamoeError):
    """A table cannot be maintained as asked; nothing was removed that a reader could need."""
