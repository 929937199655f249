"""The page and the terminal table of the feature report show what features.json says, whatever is missing from it."""

from __future__ import annotations

import io
import json
import re
from copy import deepcopy

import pytest
from rich.console import Console

from camoe.report import text
from camoe.report.feature_figures import draw_ages
from camoe.report.feature_page import render_features, write_feature_report
from camoe.report.feature_terminal import feature_table
from camoe.report.feature_view import level, most, most_shifted
from camoe.report.style import new_figure
from tests.report.cells import parsed

MARKS = {"moderate": 0.1, "large": 0.25}
DAYS = ("2026-01-01", "2026-01-02", "2026-01-03", "2026-01-04")


def measured(psi, missing=0.0, unknown=0.0, chance=0.001):
    return {"rows": 100, "missing": missing, "unknown": unknown, "psi": psi, "psi_by_chance": chance}


def feature(name, psi, missing=0.0, kind="categorical", entities=()):
    groups = {"training": measured(0.0, missing), "validation": measured(psi / 2, missing), "test": measured(psi)}
    days = {day: measured(psi if day == DAYS[3] else 0.0) for day in DAYS}
    return {
        "name": name,
        "kind": kind,
        "calendar": False,
        "entities": list(entities),
        "sizes": [10],
        "groups": groups,
        "days": days,
    }


def document():
    ages = {"p50": 90.0, "p90": 7200.0, "p99": 172_800.0}
    days = [{"date": day, "rows": 25, "matched": 0.9, "age_s": ages} for day in DAYS]
    return {
        "run": {
            "run_id": "run-1",
            "as_of": "2026-01-05T00:00:00+00:00",
            "label_as_of": {"2026-01-01": "2026-01-04"},
            "encoder_version": 2,
            "table": "/out/training",
            "table_version": 3,
        },
        "groups": {"training": list(DAYS[:2]), "validation": [DAYS[2]], "test": [DAYS[3]]},
        "marks": MARKS,
        "steps": [
            {"name": "exclude by declaration", "rows_in": 1000, "rows_out": 990, "dropped": {"house": 10}},
            {"name": "check and quarantine", "rows_in": 990, "rows_out": 940, "dropped": {"unknown_slot": 50}},
        ],
        "unknown_slots": {"<b>side</b>": 50},
        "entities": [
            {
                "name": "user",
                "table_rows": 5_120,
                "without_key_or_time": 37,
                "rows": 100,
                "matched": 0.9,
                "age_s": ages,
                "days": days,
            },
            {
                "name": "video",
                "table_rows": 9,
                "without_key_or_time": 0,
                "rows": 100,
                "matched": 1.0,
                "age_s": None,
                "days": [{**days[0], "age_s": None}],
            },
        ],
        "features": [
            feature("steady", 0.001),
            feature("drifting", 0.17, missing=0.25, entities=["user"]),
            feature("gone", 3.0, kind="numeric"),
        ],
    }


def test_the_page_holds_the_numbers_and_needs_no_other_file():
    page = render_features(document())
    cells = parsed(page)
    assert ["exclude by declaration", "1,000", "990", "house 10"] in cells.rows
    assert any(row[:8] == ["user", "5,120", "37", "100", "90.00 %", "1.5 min", "2 h", "2 d"] for row in cells.rows)
    assert [row[0] for row in cells.rows if row and row[0] in ("steady", "drifting", "gone")] == [
        "gone",
        "drifting",
        "steady",
    ]
    # Ages of one entity, the heat map, the missing shares.
    assert len(cells.images) == 3
    assert all(image.startswith("data:") for image in cells.images)
    assert not re.search(r"(src|href)=\"http", page)


def test_text_of_the_input_is_escaped():
    page = render_features(document())
    assert "<b>side</b>" not in page
    assert "&lt;b&gt;side&lt;/b&gt;" in page


def without(*names):
    """The document with features, entities or groups of days taken away."""
    changed = deepcopy(document())
    if "training" in names:
        del changed["groups"]["training"]
        for item in changed["features"]:
            del item["groups"]["training"]
            for numbers in (*item["groups"].values(), *item["days"].values()):
                numbers.update(psi=None, psi_by_chance=None)
    if "later" in names:
        changed["groups"] = {"training": list(DAYS[:2])}
        for item in changed["features"]:
            item["groups"] = {"training": item["groups"]["training"]}
    if "entities" in names:
        changed["entities"] = []
        for item in changed["features"]:
            item["entities"] = []
    if "shift" in names:
        changed["features"] = changed["features"][:1]
    return changed


@pytest.mark.parametrize("names", [["training"], ["later"], ["entities"], ["shift"], ["training", "entities"]])
def test_the_page_and_the_table_bear_what_is_missing(names):
    changed = without(*names)
    page = render_features(changed)
    assert "steady" in page
    assert 'colspan="0"' not in page
    assert shown(changed)


def shown(changed, columns=120) -> str:
    console = Console(width=columns, record=True, file=io.StringIO())
    console.print(feature_table(changed))
    return console.export_text()


def test_the_terminal_shows_the_most_shifted_and_the_most_missing_first():
    lines = [line.split() for line in shown(document()).splitlines()]
    names = [next((word for word in line if word in ("gone", "drifting", "steady")), None) for line in lines]
    assert [name for name in names if name] == ["gone", "drifting", "steady", "drifting"]
    assert max(len(line) for line in shown(document()).splitlines()) <= 120


def test_at_80_columns_the_table_shows_every_figure_and_the_whole_name():
    changed = document()
    changed["features"][1]["name"] = "how_often_the_user_has_clicked_in_this_slot_before"
    said = shown(changed, 80)
    assert max(map(len, said.splitlines())) <= 80
    assert "…" not in said
    assert "25.00 %" in said and "0.170" in said


def test_features_of_the_calendar_are_not_what_shifted_most():
    changed = document()
    changed["features"][2]["calendar"] = True
    assert [item["name"] for item in most_shifted(changed)] == ["drifting", "steady", "gone"]


def test_a_shift_is_marked_above_the_marks_and_above_chance():
    assert level(measured(0.05), MARKS) == "none"
    assert level(measured(None), MARKS) == "none"
    assert level(measured(0.1), MARKS) == "moderate"
    assert level(measured(0.25), MARKS) == "large"
    assert level(measured(0.3, chance=0.2), MARKS) == "chance"


def test_features_are_in_order_of_what_is_asked():
    assert [item["name"] for item in most_shifted(document())] == ["gone", "drifting", "steady"]
    assert [item["name"] for item in most(document(), "missing")] == ["drifting"]
    assert most(document(), "unknown") == []


def test_spans_of_time_are_in_their_largest_unit():
    assert [text.span(value) for value in (0.4, 59.0, 60.0, 5400.0, 86_400.0, None)] == [
        "0 s",
        "59 s",
        "1 min",
        "1.5 h",
        "1 d",
        text.DASH,
    ]


def test_ages_that_lie_close_together_stand_between_lengths_of_time_that_are_named():
    axes = new_figure(5.2, 3.1).subplots()
    ages = {"p50": 112_000.0, "p90": 113_000.0, "p99": 113_500.0}
    draw_ages(axes, {"name": "user", "days": [{"date": DAYS[0], "age_s": ages}]})
    assert [label.get_text() for label in axes.get_yticklabels()] == ["1 d", "3 d"]
    low, high = axes.get_ylim()
    assert low <= 86_400 < 3 * 86_400 <= high


def test_both_files_are_written(tmp_path):
    paths = write_feature_report(document(), tmp_path / "feature_report")
    assert [path.name for path in paths] == ["features.json", "index.html"]
    assert json.loads(paths[0].read_text()) == document()
    assert paths[1].read_text() == render_features(document())
