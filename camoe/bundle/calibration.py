"""The calibration of each head, as JSON in the bundle. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from camoe.bundle.manifest import CALIBRATION, Bundle
from camoe.contracts.errors import BundleError
from camoe.contracts.files import write_json
from camoe.metrics.platt import Platt

_BY_HEAD = TypeAdapter(dict[str, Platt])


def write_calibration(folder: Path, by_head: Mapping[str, Platt]) -> None:
    """Write `calibration.json` into the bundle at `folder`."""
    write_json(folder / CALIBRATION, {name: platt.model_dump() for name, platt in by_head.items()})


def read_calibration(bundle: Bundle) -> dict[str, Platt]:
    """Read the calibration of each head, by name. Raises `BundleError` when one is missing or unreadable."""
    path = bundle.folder / CALIBRATION
    try:
        found = _BY_HEAD.validate_json(bundle.read(CALIBRATION))
    except ValidationError as error:
        raise BundleError(
            f"{path} was written by another version ({error.error_count()} errors); train again"
        ) from None
    absent = [head.name for head in bundle.spec.heads.heads if head.name not in found]
    if absent:
        raise BundleError(f"{path} has no head {', '.join(absent)}; train again")
    return found
