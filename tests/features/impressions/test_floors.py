"""What a feed that has died looks like, and what stops a run on it."""

from __future__ import annotations

from datetime import date, timedelta

import pytest

from camoe.contracts.errors import InputError
from camoe.contracts.runs import LabelCount
from camoe.contracts.sources import Sources
from features.impressions.floors import below_floors, require_accepted

COLUMNS = {name: name for name in ("impression_id", "user_id", "campaign_id", "slot", "ts")}
FIRST = date(2026, 1, 1)


def sources(**changes):
    return Sources.model_validate(
        {
            "impressions": {"path": "i", "columns": COLUMNS, "labels": {"click": "click"}},
            "entities": {
                "user": {"path": "u", "key": "user_id", "columns": {"user_id": "user_id"}} | changes.get("user", {})
            },
            "objectives": {"click": changes.get("click", {})},
        }
    )


def labels(*positives, known=1000, first=FIRST):
    """So many positives on each day from `first` on."""
    return {
        "click": {first + timedelta(days=day): LabelCount(positive=n, known=known) for day, n in enumerate(positives)}
    }


def test_an_entity_that_matches_nothing_or_less_than_declared_lies_under_its_floor():
    assert below_floors({"user": 0.01}, {}, {}, sources()) == ()
    (line,) = below_floors({"user": 0.0}, {}, {}, sources())
    assert line == "entity 'user' matched 0.00% of the impressions, and 0.00% is its min_matched"
    (line,) = below_floors({"user": 0.79}, {}, {}, sources(user={"min_matched": 0.8}))
    assert line.startswith("entity 'user' matched 79.00% of the impressions")
    assert below_floors({"user": 0.8}, {}, {}, sources(user={"min_matched": 0.8})) == ()


@pytest.mark.parametrize(
    ("here", "before", "fallen"),
    [
        (labels(300), {}, []),
        (labels(0, 300, 310), {}, [0]),
        (labels(300, 310, 29), {}, [2]),
        (labels(300, 310, 31), {}, []),
        (labels(0, first=FIRST + timedelta(days=9)), labels(300, 310), [9]),
        (labels(0), labels(19, first=FIRST + timedelta(days=9)), []),
        (labels(0), labels(20, first=FIRST + timedelta(days=9)), [0]),
        (labels(0, known=50), labels(300, first=FIRST + timedelta(days=9)), []),
    ],
    ids=["alone", "dead", "nearly dead", "low", "after others", "few expected", "enough expected", "a short day"],
)
def test_a_day_with_hardly_a_positive_lies_under_the_floor_where_others_let_expect_some(here, before, fallen):
    found = below_floors({}, here, before, sources())
    assert [line.partition(" on ")[2][:10] for line in found] == [str(FIRST + timedelta(days=day)) for day in fallen]


def test_the_line_says_what_was_to_be_expected():
    (line,) = below_floors({}, labels(0, 300, 300), {}, sources(click={"min_share": 0.5}))
    assert line == (
        "objective 'click' has 0 positive labels of 1,000 on 2026-01-01, where the other days let 300 expect, and 0.5 "
        "of "
        "these is its min_share"
    )
    assert below_floors({}, labels(0, 300, 300), {}, sources(click={"min_share": 0})) == ()


def test_what_lies_under_a_floor_stops_the_run_unless_somebody_gives_a_reason():
    require_accepted((), "")
    require_accepted(("one", "two"), "a holiday")
    with pytest.raises(InputError, match=r"^one; and 1 more like it; .* --accept REASON, .* nothing was written$"):
        require_accepted(("one", "two"), "")
