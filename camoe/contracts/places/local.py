"""Paths of folders and files on this machine, or on a disk that all machines of a run see."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

from pydantic import BeforeValidator

# `s3:/bucket` is what becomes of `s3://bucket` once it has been a Path.
ADDRESS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/+(?P<rest>.*)", re.DOTALL)


def local_path(value: object) -> object:
    """Return the path without a `file://` before it.

    Raises:
        ValueError: it is an address of another place, such as `s3://bucket/path`; what follows is not repeated.
    """
    found = ADDRESS.match(value) if isinstance(value, str) else None
    if found is None:
        return value
    if found["scheme"].lower() != "file":
        raise ValueError(
            f"{found['scheme']}:// is no place for it: give a local path, or one on a disk that all machines see; "
            "a training table alone may be read from s3:// (training.table)"
        )
    return f"/{found['rest']}"


LocalPath = Annotated[Path, BeforeValidator(local_path)]
