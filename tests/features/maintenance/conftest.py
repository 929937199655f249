"""An output folder after three runs, made once a module, and a copy of it for each test."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from camoe.contracts.layout import Layout
from tests.features.maintenance.upkeep import three_runs


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """An output folder after three runs."""
    return three_runs(tmp_path_factory.mktemp("built"))


@pytest.fixture
def layout(built: Layout, tmp_path: Path) -> Layout:
    """A copy of `built` for one test."""
    return Layout(Path(shutil.copytree(built.root, tmp_path / "out")))
