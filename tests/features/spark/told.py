"""What a user is told of a failure."""

from __future__ import annotations

from collections.abc import Callable

from features.spark.failures import NO_WHOLE_FILE, as_input_errors


def told_in_one_line(action: Callable[[], object]) -> None:
    """Do it, as a job does what may fail because of its input."""
    with as_input_errors("cannot build", "mend the input", NO_WHOLE_FILE):
        action()
