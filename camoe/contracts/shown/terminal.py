"""The terminal that a job's output goes to; below spark-submit it is that of the process above."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from rich.console import Console

# Of lines that go to no terminal, and of a terminal that does not know how wide it is.
PLAIN_COLUMNS, UNKNOWN_COLUMNS = 120, 80


def console() -> Console:
    """Return a console as wide as the terminal, where there is one, else of `PLAIN_COLUMNS` and without colours."""
    columns = terminal_columns()
    return Console(width=PLAIN_COLUMNS) if columns is None else Console(width=columns, force_terminal=True)


def terminal_columns() -> int | None:
    """Return how wide the terminal is that shows what this process prints; None where no terminal does.

    What a driver prints goes through the Java process that spark-submit became, which passes it on as it is.
    """
    if sys.stdout.isatty():
        return _columns(sys.stdout.fileno())
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        with suppress(OSError):
            shown = os.open(f"/proc/{os.getppid()}/fd/1", os.O_WRONLY | os.O_NOCTTY)
            try:
                return _columns(shown) if os.isatty(shown) else None
            finally:
                os.close(shown)
    return None


def _columns(terminal: int) -> int:
    given = os.environ.get("COLUMNS", "")
    if given.isdigit() and int(given):
        return int(given)
    with suppress(OSError):
        return os.get_terminal_size(terminal).columns or UNKNOWN_COLUMNS
    return UNKNOWN_COLUMNS
