"""Waiting for what another thread or process is about to do."""

from __future__ import annotations

import time
from collections.abc import Callable

LIMIT_S = 300.0
POLL_S = 0.002


def wait_until(holds: Callable[[], object], limit_s: float = LIMIT_S, told: Callable[[], str] = str) -> None:
    """Return as soon as `holds()` is true; raise `TimeoutError` with what `told()` says after `limit_s` seconds."""
    deadline = time.monotonic() + limit_s
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {limit_s:.0f} s in vain; {told()}")
        time.sleep(POLL_S)
