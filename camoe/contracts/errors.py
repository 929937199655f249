"""Errors that a user can act on: each message says what is wrong, where, and what to do."""

from __future__ import annotations


class CamoeError(Exception):
    """Base of every error that the user can mend; the jobs print it as one message and exit with its code."""

    code = 2


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


class MaintenanceError(CamoeError):
    """A table cannot be maintained as asked; nothing was removed that a reader could need."""
