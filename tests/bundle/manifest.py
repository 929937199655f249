"""The manifest of a bundle that nobody trained."""

from __future__ import annotations

from camoe.bundle.manifest import Manifest

MANIFEST = Manifest(
    model_version="0123456789ab", code_version="1", table="/lake/training", table_version=3, snapshot_hash="s",
    feature_schema_hash="f", encoder_version=2, config_hash="c", files={},
)  # fmt: skip
