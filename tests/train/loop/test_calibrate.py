"""What training says of calibration holds for all rows of the validation day, also after it learned from some."""

from __future__ import annotations

import pytest

from camoe.config.pipeline import Config
from camoe.contracts.config_file import load
from tests.train.calibrated import labelled, require_calibrated
from tests.train.job import train
from tests.train.pipeline import write_pipeline

ROWS = {"s0": 1331, "s1": 803, "s2": 407}


@pytest.mark.slow
@pytest.mark.horovod
def test_calibration_and_ece_are_of_all_rows_where_negatives_were_sampled(tmp_path):
    path = write_pipeline(tmp_path, ROWS)
    overrides = ["training.negatives={audio: 0.1, video: 0.5}", "training.learning_rate=0.02"]
    train(path, 2, *overrides)
    config = load(path, Config, overrides)
    bundle = config.layout.bundle
    assert "Learned from a part of the negatives (audio 10 %, video 50 %)" in (bundle / "card.md").read_text()
    assert require_calibrated(config, bundle) == {"audio": True, "video": True}
    # The correction has brought the predictions to the level of all rows: of the sample's, audio's are far above.
    rows = labelled(config, bundle).groupby("head")[["p_raw", "y"]].mean()
    assert rows["p_raw"].to_dict() == pytest.approx(rows["y"].to_dict(), abs=0.1)
