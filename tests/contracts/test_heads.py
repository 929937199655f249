"""Which head serves which slot, for the first objective and for further ones."""

from __future__ import annotations

import pytest

from camoe.contracts.errors import ConfigError
from camoe.contracts.heads import HeadSet
from camoe.contracts.slots import SlotCatalogue

SLOTS = SlotCatalogue(
    slots=[
        {"id": "a", "name": "A", "modality": "audio", "attributes": {"focus": "out"}},
        {"id": "d", "name": "D", "modality": "audio", "attributes": {"focus": "in"}},
        {"id": "v", "name": "V", "modality": "video", "attributes": {"focus": "in"}},
    ]
)
CLICKS = [
    {"name": "audio", "objective": "click", "where": {"modality": ["audio"]}},
    {"name": "video", "objective": "click", "where": {"modality": ["video"]}},
]


def heads(*further):
    return HeadSet(heads=[*CLICKS, *further])


def test_a_new_objective_is_one_block_and_is_served_where_its_head_owns_a_slot():
    made = heads({"name": "conversion", "objective": "conversion", "where": {"focus": ["in"]}})
    made.check_serving(SLOTS)
    assert [made.served(slot) for slot in SLOTS.slots] == [("click",), ("click", "conversion"), ("click", "conversion")]
    assert made.serving_head(SLOTS.slots[0], "conversion") is None
    assert made.serving_head(SLOTS.slots[2], "conversion").name == "conversion"


def test_all_conditions_of_a_rule_must_hold():
    made = heads({"name": "one", "objective": "conversion", "where": {"focus": ["in"], "modality": ["audio"]}})
    assert made.membership(SLOTS)[2] == (False, True, False)


def test_the_first_objective_needs_a_head_in_every_slot():
    partial = HeadSet(heads=[{"name": "conversion", "objective": "conversion", "where": {"focus": ["in"]}}, *CLICKS])
    with pytest.raises(ConfigError, match="slot 'a' needs exactly one head for objective 'conversion', found: none"):
        partial.check_serving(SLOTS)


def test_two_heads_of_one_objective_in_one_slot_are_refused():
    made = heads(*({"name": name, "objective": "conversion", "where": {"focus": ["in"]}} for name in ("x", "y")))
    with pytest.raises(ConfigError, match="slot 'd' needs exactly one head for objective 'conversion', found: x, y"):
        made.check_serving(SLOTS)


BY_COLUMN = [
    {"name": "talk", "objective": "click", "where": {"genre": ["podcast", "news"], "modality": ["audio"]}},
    {"name": "podcast", "objective": "click", "where": {"genre": ["podcast"], "modality": ["video"]}},
    {"name": "music", "objective": "click"},
]


def test_a_row_column_splits_slots_and_a_head_without_values_takes_the_rest():
    made = HeadSet(column="genre", heads=BY_COLUMN)
    made.check_serving(SLOTS)
    assert made.cases == (None, "podcast", "news")
    # By slot: any other value, podcast, news.
    assert made.membership(SLOTS) == (
        (False, True, True, False, True, True, False, False, False),
        (False, False, False, False, False, False, False, True, False),
        (True, False, False, True, False, False, True, False, True),
    )
    assert made.serving_head(SLOTS.slots[2], "click", "news").name == "music"
    assert made.served(SLOTS.slots[0]) == ("click",)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (BY_COLUMN[:2], "slot 'a' .* where genre is none of podcast, news, found: none"),
        ([*BY_COLUMN, {**BY_COLUMN[0], "name": "two"}], "slot 'a' .* where genre is 'podcast', found: talk, two"),
        ([*CLICKS, {**BY_COLUMN[0], "objective": "like"}], "'like' where genre is none of podcast, news, found: none"),
    ],
)
def test_each_value_of_the_column_needs_one_head(given, message):
    with pytest.raises(ConfigError, match=message):
        HeadSet(column="genre", heads=given).check_serving(SLOTS)


def test_a_column_that_no_head_reads_is_refused():
    with pytest.raises(ValueError, match="no head's 'where' names values of the column 'genre'"):
        HeadSet(column="genre", heads=CLICKS)


def test_a_head_without_a_slot_is_refused():
    nowhere = {"focus": ["out"], "modality": ["video"]}
    with pytest.raises(ConfigError, match="head 'lost' owns no slot"):
        heads({"name": "lost", "objective": "conversion", "where": nowhere}).check_serving(SLOTS)
