"""A number of the history that knows the label is found by its name."""

from __future__ import annotations

import json
from datetime import date
from random import Random

import pytest

from camoe.contracts.features import Numeric
from camoe.contracts.history import Leaks
from features.history.check import alone
from tests.features import lake

TRAINING, AFTER = date(2026, 1, 1), date(2026, 1, 2)


def test_a_planted_leak_and_a_number_that_holds_for_the_training_days_only_are_named(spark):
    draw = Random(7)
    rows = []
    for day in (TRAINING, AFTER, date(2026, 1, 3)):
        for _ in range(400):
            label = draw.choice([0, 0, 0, 1])
            own = label + draw.random() if day == TRAINING else draw.random()
            rows.append((day, label, float(label), own, label + 3 * draw.random(), None))
    values = spark.createDataFrame(
        rows, "date date, label_click int, num_leak float, num_own float, num_good float, num_none float"
    )
    numerics = [Numeric(name=name, sql="0") for name in ("leak", "own", "good", "none")]
    leak, own, good, none = alone(values, numerics, ["click"], [TRAINING], Leaks())
    assert leak.training == 1.0
    assert leak.warning == "leak alone ranks click with an AUC of 1.000: does it know the label?"
    assert own.training is not None
    assert own.training > 0.9
    assert own.warning.startswith("own alone ranks click with an AUC of ")
    assert good.warning == ""
    assert min(good.training, good.after) > 0.6
    assert (none.training, none.after, none.warning) == (None, None, "")
    strict, lax = Leaks(auc=0.6, fall=0.4), Leaks(auc=1.0, positives=1000)
    warned = [area.warning for area in alone(values, numerics, ["click"], [TRAINING], strict)]
    assert [bool(warning) for warning in warned] == [True, True, True, False]
    assert [area.warning for area in alone(values, numerics, ["click"], [TRAINING], lax)] == [""] * 4


@pytest.mark.slow
def test_a_build_names_a_history_feature_that_tells_the_label(spark, tmp_path, capfd):
    """A key set over a column that knows the outcome: such impressions came to before what this one comes to."""
    clicked = {row["id"] for row in lake.outcomes()}
    lake.write_lake(tmp_path, impressions=[{**row, "told": row["id"] in clicked} for row in lake.impressions()])
    settings = lake.config(tmp_path)
    settings["sources"]["impressions"]["columns"]["told"] = "told"
    settings["features"]["history"] = {
        "since": lake.DAYS[0], "objectives": ["click"], "make": ["rates"], "leaks": {"positives": 5, "fall": 0.5},
        "keys": {"all": [], "user": ["user_id"], "told": ["told"]},
    }  # fmt: skip
    assert lake.run_job(lake.write_config(tmp_path, settings)) == 0
    warning = "told_click_rate_all alone ranks click with an AUC of 1.000: does it know the label?"
    assert f"leak?       {warning}" in capfd.readouterr().out
    areas = json.loads((tmp_path / "out/feature_report/features.json").read_text())["history"]
    assert {area["feature"]: area["warning"] for area in areas if area["warning"]} == {"told_click_rate_all": warning}
    assert {area["feature"] for area in areas} == {"all_click_rate_all", "user_click_rate_all", "told_click_rate_all"}
