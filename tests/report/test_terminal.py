"""The table in the terminal, of a document made by hand."""

import io

import pytest
from rich.console import Console

from camoe.report.terminal import MOST_SLOTS, NUMBERS, metrics_table, verdict_lines

RUN = {"test_days": ["2026-03-11"], "model_version": "m1", "ece_bins": 20, "against": ["m0"], "not_kept": {}}


def document(slots, **run):
    groups = [*(("slot", f"placement {number}") for number in range(slots)), ("modality", "video"), ("all", "all")]
    rows = [
        {
            "objective": "click",
            "group_kind": kind,
            "group": group,
            "predictor": "model",
            **dict.fromkeys((key for key, _ in NUMBERS.values()), 1),
        }
        | {"ne": 1.0}
        for kind, group in groups
    ]
    return {"run": RUN | run, "rows": rows, "differences": []}


@pytest.mark.parametrize(("slots", "shown"), [(MOST_SLOTS, True), (MOST_SLOTS + 1, False)])
def test_many_slots_are_left_to_the_page(slots, shown):
    console = Console(width=120, file=io.StringIO())
    console.print(metrics_table(document(slots), "click"))
    told = console.file.getvalue()
    assert ("placement 7" in told) == shown
    assert (f"{slots} slots: see the page" in told) == (not shown)
    assert "video" in told


def test_what_another_model_has_no_states_of_is_said():
    (line,) = verdict_lines(document(1, not_kept={"m0": ["country", "device"]}))
    assert line == "not held against m0 by country, device: its states lack that; evaluate it again to have it"
