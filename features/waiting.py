"""Waiting for another run: said once, and never for ever."""

from __future__ import annotations

import time
from collections.abc import Callable

from camoe.contracts.runs import RunError

POLL_S = 1.0
# A run that has waited so long gives up: whoever holds what it waits for hangs, or is gone and cannot be asked.
LONGEST_WAIT_S = 3600.0


def patiently(take: Callable[[], object], what: str, longest_s: float) -> None:
    """Call `take` until it raises no `RunError`; `what` says for what it waits.

    Raises:
        RunError: it still does after `longest_s` seconds.
    """
    began = time.monotonic()
    said = False
    while True:
        try:
            take()
        except RunError as error:
            if time.monotonic() - began >= longest_s:
                raise RunError(f"waited {longest_s:,.0f} s for {what}, in vain: {error}") from error
            if not said:
                print(f"build_features: waits for {what}: {error}", flush=True)
            said = True
            time.sleep(POLL_S)
        else:
            return
