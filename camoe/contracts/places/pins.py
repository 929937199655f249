"""Pins on table versions that are being read, so that old files are not removed under a reader.

A pin is one small JSON file. A job takes it before it reads, renews it as a lease, and removes it when it ends, also
when it fails; the pin of a process that was killed stays until somebody removes it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated
from uuid import uuid4

from pydantic import Field, StringConstraints, ValidationError

from camoe.contracts.errors import CamoeError
from camoe.contracts.files import write_text
from camoe.contracts.places.leases import RUNNING, Holder, renewed, this_process


class PinError(CamoeError):
    """A pin is damaged, not there, or still in use."""


class Pin(Holder):
    """One reader of version `version` of the table in the folder `table` (its name beside the pins, as `training`)."""

    pin_id: Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    table: str
    version: int = Field(ge=0)
    job: str
    why: str

    def __str__(self) -> str:
        return (
            f"{self.pin_id}  {self.table} version {self.version}  {self.why}, "
            f"since {self.since:%Y-%m-%d %H:%M:%S} UTC, {self.state()}"
        )


@contextmanager
def pinned(folder: Path, table: Path, version: int, job: str, why: str) -> Iterator[Pin]:
    """Hold a pin in `folder` on `version` of `table` while the block runs, and release it however the block ends."""
    holder = this_process()
    pin_id = f"{job}-{holder.host}-{holder.pid}-{uuid4().hex[:8]}"
    pin = Pin(**holder.model_dump(), pin_id=pin_id, table=table.name, version=version, job=job, why=why)
    path, text = folder / f"{pin.pin_id}.json", pin.model_dump_json(indent=2)
    write_text(path, text)
    try:
        with renewed(path, text.encode()):
            yield pin
    finally:
        path.unlink(missing_ok=True)


def pinned_here(
    folder: Path, own: Path, table: Path | str, version: int, *, job: str, why: str
) -> AbstractContextManager[object]:
    """Pin `version` of `table` as `pinned` does where it is `own`; one elsewhere is not vacuumed from here."""
    return pinned(folder, own, version, job, why) if table == own else nullcontext()


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
