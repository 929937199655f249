"""The configuration that a model was trained with, as JSON in the bundle. Torch-free."""

from __future__ import annotations

from pathlib import Path

from camoe.bundle.manifest import CONFIG
from camoe.contracts.config_file import Section
from camoe.contracts.files import write_json
from camoe.contracts.shown.redaction import redacted_settings


def write_settings(folder: Path, config: Section) -> None:
    """Write `config.json` into the bundle at `folder`: every setting as resolved, paths as given, no secrets."""
    write_json(folder / CONFIG, redacted_settings(config.model_dump(mode="json")))
