"""Pins on table versions that are being read, so that old files are not removed under a reader.

A pin is one small JSON file. A job takes it before it reads and removes it when it ends, also when it fails; the pin of
a process that was killed stays until somebody removes it.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated
from uuid import uuid4

from pydantic import Field, StringConstraints, ValidationError

from camoe.contracts.config_file import Section
from camoe.contracts.errors import CamoeError
from camoe.contracts.files import write_text

RUNNING = "running"
ENDED = "ended"
ELSEWHERE = "on another host"


class PinError(CamoeError):
    """A pin is damaged, not there, or still in use."""


class Pin(Section):
    """One reader of version `version` of the table in the folder `table` (its name beside the pins, as `training`)."""

    pin_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    table: str
    version: int = Field(ge=0)
    job: str
    host: str
    pid: int
    since: datetime
    why: str

    def state(self) -> str:
        """Return `RUNNING` or `ENDED` as this host's processes tell, `ELSEWHERE` when another host has to tell."""
        return process_state(self.host, self.pid)

    def __str__(self) -> str:
        return (
            f"{self.pin_id}  {self.table} version {self.version}  {self.why}, "
            f"since {self.since:%Y-%m-%d %H:%M:%S} UTC, {self.state()}"
        )


def process_state(host: str, pid: int) -> str:
    """Return `RUNNING` or `ENDED` as this host's processes tell, `ELSEWHERE` when another host has to tell."""
    if host != socket.gethostname():
        return ELSEWHERE
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ENDED
    except PermissionError:
        return RUNNING
    return RUNNING


@contextmanager
def pinned(folder: Path, table: Path, version: int, job: str, why: str) -> Iterator[Pin]:
    """Hold a pin in `folder` on `version` of `table` while the block runs, and release it however the block ends."""
    host, pid = socket.gethostname(), os.getpid()
    pin = Pin(
        pin_id=f"{job}-{host}-{pid}-{uuid4().hex[:8]}",
        table=table.name,
        version=version,
        job=job,
        host=host,
        pid=pid,
        since=datetime.now(UTC),
        why=why,
    )
    path = folder / f"{pin.pin_id}.json"
    write_text(path, pin.model_dump_json(indent=2) + "\n")
    try:
        yield pin
    finally:
        path.unlink(missing_ok=True)


def read_pins(folder: Path) -> tuple[Pin, ...]:
    """Read all pins, oldest first. Raises `PinError` when one is damaged: the version it protects is then unknown."""
    found = (_read(path) for path in _files(folder))
    return tuple(sorted((pin for pin in found if pin is not None), key=lambda pin: (pin.since, pin.pin_id)))


def remove_pin(folder: Path, pin_id: str, force: bool = False) -> Pin | None:
    """Remove one pin and return it (None when it was damaged or went meanwhile); a running one only with `force`.

    Raises:
        PinError: there is no such pin, or its process runs on this host.
    """
    path = next((path for path in _files(folder) if path.stem == pin_id), None)
    if path is None:
        known = ", ".join(sorted(found.stem for found in _files(folder))) or "none"
        raise PinError(f"no pin {pin_id} in {folder}; there are: {known}")
    try:
        pin = _read(path)
    except PinError:
        pin = None
    if pin is not None and pin.state() == RUNNING and not force:
        raise PinError(f"pin {pin_id}: process {pin.pid} runs on this host and may read the table; end it, or --force")
    path.unlink(missing_ok=True)
    return pin


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*.json") if path.is_file())


def _read(path: Path) -> Pin | None:
    """Read the pin at `path`; None when it was released meanwhile."""
    try:
        return Pin.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise PinError(
            f"{path} is damaged ({error.error_count()} errors): the version that it protects is not known; "
            f"remove it with jobs/maintain.py pins --remove {path.stem}"
        ) from None
