"""The per-slot table in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rich import box
from rich.markup import escape
from rich.table import Table

from camoe.report import text
from camoe.report.groups import repeated_heads

# Fields have too many values for a terminal.
KINDS = ("slot", "modality", "head", "all")
MOST_SLOTS = 40
VERDICTS = ("better", "worse", "cannot tell")
# The metrics that are told of in the terminal; the page has them all.
COMPARED = {"auc_pr": "AUC-PR", "ne": "NE"}
NAMED = 8
# Columns that all of `NUMBERS` need beside names of some length.
WIDE = 110
# What each number is in the document, and how it is told.
NUMBERS: Mapping[str, tuple[str, Callable[[Any], str]]] = {
    "impressions": ("impressions", text.count),
    "clicks": ("clicks", text.count),
    "AUC-PR": ("auc_pr", text.metric),
    "ROC-AUC": ("roc_auc", text.metric),
    "NE": ("ne", text.metric),
    "ECE": ("ece", text.metric),
    "floor": ("ece_floor", text.metric),
    "mean p": ("mean_predicted", text.percent),
    "observed": ("observed", text.percent),
}
NARROW = ("impressions", "clicks", "AUC-PR", "NE", "ECE")


def metrics_table(document: Mapping[str, Any], objective: str, columns: int = WIDE) -> Table:
    """Show `document` (metrics.json) as a table for so many columns: a section per group, a line per predictor.

    It fits 120 columns, and with fewer numbers 80; long names of groups take several lines. More than `MOST_SLOTS`
    slots are left to the page.
    """
    run = document["run"]
    slots = {row["group"] for row in document["rows"] if row["group_kind"] == "slot"}
    kinds = KINDS if len(slots) <= MOST_SLOTS else [kind for kind in KINDS if kind != "slot"]
    days = " to ".join(dict.fromkeys((run["test_days"][0], run["test_days"][-1])))
    table = Table(
        title=f"{objective}, {days}, model {run['model_version']}, ECE over {run['ece_bins']} equal-mass bins",
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption=None if "slot" in kinds else f"{len(slots)} slots: see the page",
        caption_justify="left",
        padding=(0, 1, 0, 0),
    )
    numbers = NUMBERS if columns >= WIDE else NARROW
    table.add_column("group", overflow="fold")
    table.add_column("predictor", no_wrap=True)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    previous = None
    repeated = repeated_heads(document["rows"], objective)
    rows = (row for row in document["rows"] if row["objective"] == objective and row["group_kind"] in kinds)
    for row in (row for row in rows if row["group_kind"] != "head" or row["group"] not in repeated):
        group = (row["group_kind"], row["group"])
        if previous not in (None, group):
            table.add_section()
        style = "bold" if row["predictor"] == "model" else ""
        cells = (tell(row[key]) for key, tell in map(NUMBERS.__getitem__, numbers))
        table.add_row(escape(_name(*group)) if group != previous else "", row["predictor"], *cells, style=style)
        previous = group
    return table


def _name(kind: str, group: str) -> str:
    """Return the group's name, a head's with its kind: heads and modalities often have one name."""
    return f"{group} (head)" if kind == "head" else group


def verdict_lines(document: Mapping[str, Any]) -> list[str]:
    """Return a line for each model that this one is held against, objective and kind of group, with what is told."""
    champions = document["run"]["against"]
    found: dict[tuple[str, ...], list[Mapping[str, Any]]] = {}
    for item in document["differences"]:
        if item["against"] in champions and item["metric"] in COMPARED:
            key = (item["against"], item["objective"], item["group_kind"], item["metric"])
            found.setdefault(key, []).append(item)
    lines = [
        f"not held against {version} by {', '.join(kinds)}: its states lack that; evaluate it again to have it"
        for version, kinds in document["run"]["not_kept"].items()
    ]
    for (against, objective, kind, metric), items in found.items():
        told = {word: [item["group"] for item in items if item["verdict"] == word] for word in VERDICTS}
        counted = ", ".join(_named_few(word, groups) for word, groups in told.items() if groups)
        lines.append(f"{objective} against {against}, {COMPARED[metric]} by {kind}: {counted}")
    return lines


def _named_few(word: str, groups: list[str]) -> str:
    """Name the groups where they are few, and those that are told apart."""
    few = len(groups) <= NAMED and word != "cannot tell"
    return f"{len(groups)} {word}" + (f" ({', '.join(groups)})" if few else "")
