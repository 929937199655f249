"""The configuration that a model was trained with, as JSON in the bundle. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from camoe.bundle.manifest import CONFIG
from camoe.contracts.config_file import Section
from camoe.contracts.files import write_json

# A user's name and password in an address.
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def write_settings(folder: Path, config: Section) -> None:
    """Write `config.json` into the bundle at `folder`: every setting as resolved, paths as given, no credentials."""
    write_json(folder / CONFIG, _public(config.model_dump(mode="json")))


def _public(value: Any) -> Any:
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, Mapping):
        return {key: _public(part) for key, part in value.items()}
    return [_public(part) for part in value] if isinstance(value, list) else value


def without_credentials(text: str) -> str:
    """Return `text` without the user names and passwords of the addresses in it."""
    return CREDENTIALS.sub("", text)
