"""What the launcher of the workers ends for their silence is no training that went well."""

from __future__ import annotations

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from camoe.train.launch import launch
from camoe.train.launch.attempts import LostWorkersError
from tests.train.pipeline import CONFIG, write_pipeline


def test_workers_that_were_silent_are_lost_also_where_their_launcher_ends_without_an_error(tmp_path, monkeypatch):
    training = CONFIG["training"] | {"stall_timeout_s": 1}
    config = load(write_pipeline(tmp_path, {"s0": 9, "s1": 9, "s2": 9}, training=training), Config)
    monkeypatch.setattr(launch, "LAUNCHER_MODULE", "tests.train.launch.yielding_launcher")
    with pytest.raises(
        LostWorkersError, match="worker 0 waited more than 1 s at step 3 of epoch 1: it did not run"
    ) as e:
        launch.launch_with_horovod(config, [], [], ["localhost"], tmp_path / "logs/train_workers.log")
    assert e.value.lost == {0}
