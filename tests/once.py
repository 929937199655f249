"""What is made once in a test session, whichever of its worker processes asks first."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from pathlib import Path

import pytest


def made_once(factory: pytest.TempPathFactory, worker_id: str, name: str, make: Callable[[Path], object]) -> Path:
    """Return the session's folder `name`, which `make(folder)` fills unless another worker has; nobody may change it.

    `worker_id` is that of pytest-xdist.
    """
    mine = factory.getbasetemp()
    # Workers have folders of their own within that of the session.
    session = mine if worker_id == "master" else mine.parent
    folder, done = session / name, session / f"{name}.done"
    with (session / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            make(folder)
            done.touch()
    return folder
