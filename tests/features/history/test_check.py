"""A number of the history that knows the label is found by its name."""

from __future__ import annotations

from datetime import date
from random import Random

from camoe.contracts.features import Numeric
from camoe.contracts.history import Leaks
from features.history.check import alone

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
