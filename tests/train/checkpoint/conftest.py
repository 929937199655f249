"""The configuration of the model whose checkpoints are kept."""

from __future__ import annotations

import pytest
import yaml

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from tests.train.pipeline import CONFIG


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Config:
    path = tmp_path_factory.mktemp("config") / "pipeline.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, "out": str(path.parent)}))
    return load(path, Config, ["model.dropout=0.3", "training.dtype=float32"])
