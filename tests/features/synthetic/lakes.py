"""The shipped lakes."""

from __future__ import annotations

from camoe.contracts.config_file import load
from features.synthetic.config import LakeConfig
from tests.paths import ROOT


def config(name: str, *overrides: str) -> LakeConfig:
    """Return the settings of the lake `name` of conf/lake."""
    return load(ROOT / f"conf/lake/{name}.yaml", LakeConfig, overrides)
