"""A table that was built with other settings is left as it is, unless it is to be replaced."""

from __future__ import annotations

import pytest

from camoe.contracts.snapshot import pin
from tests.features import lake


def change_feature(settings):
    settings["features"]["numeric"][1]["sql"] = "user.age_s / 2"


def drop_feature(settings):
    settings["features"]["numeric"].pop()


def add_objective(settings):
    settings["sources"]["impressions"]["labels"] = {"buy": "id = 'i0-0'"}
    settings["sources"]["objectives"]["buy"] = {"window_s": 60}


def reverse_slots(settings):
    settings["slots"]["slots"].reverse()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            change_feature,
            "other features (age), which jobs/add_columns.py --columns age adds to built days; build into a new out= "
            "or replace it with --replace",
        ),
        (add_objective, "was built with other settings (rows: "),
        (reverse_slots, "slots feed:video,break:audio, now they are break:audio,feed:video"),
    ],
)
def test_other_settings_are_refused_before_anything_is_written(clean_build, tmp_path, capfd, change, message):
    lake.copy_of(clean_build, tmp_path)
    settings = lake.config(tmp_path)
    change(settings)
    before = sorted(tmp_path.rglob("*"))
    assert lake.run_job(lake.write_config(tmp_path, settings)) == 2
    assert message in capfd.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.slow
def test_a_table_of_other_features_is_replaced_when_asked_for(spark, clean_build, tmp_path):
    lake.copy_of(clean_build, tmp_path)
    before = lake.training(spark, tmp_path)
    settings = lake.config(tmp_path)
    change_feature(settings)
    drop_feature({"features": {"numeric": settings["features"]["categorical"]}})
    assert lake.run_job(lake.write_config(tmp_path, settings), "--replace") == 0
    after = lake.training(spark, tmp_path)
    assert "cat_hour" in before["i0-0"]
    assert "cat_hour" not in after["i0-0"]
    assert after.keys() == before.keys()
    assert pin(tmp_path / "out/training").rows == len(after)
