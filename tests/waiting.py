"""Waiting for what other processes and threads bring about."""

from __future__ import annotations

import time
from collections.abc import Callable

POLL_S = 0.02


def eventually(condition: Callable[[], object], timeout_s: float = 60.0) -> None:
    """Wait until `condition()` holds. Raises `AssertionError` when it does not within `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s:g} s: {condition}"
        time.sleep(POLL_S)
