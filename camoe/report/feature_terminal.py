"""The top lines of the feature report in the terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.table import Table

from camoe.report import text
from camoe.report.feature_view import TRAINING, Document, later_groups, level, most, most_shifted

STYLES = {"large": "bold red", "moderate": "yellow", "chance": "dim", "none": ""}


def feature_table(document: Document, lines: int = 5) -> Table:
    """Show the `lines` most shifted features, those with most missing and most unknown rows, within 80 columns.

    Shares are those of the training days and, after the arrow, of the later group where they are largest.
    At most the last three later groups have a column; a long name takes several lines.
    """
    later = later_groups(document)
    psi_groups = later if TRAINING in document["groups"] else []
    table = Table(title="features", box=box.SIMPLE_HEAD, title_justify="left", padding=(0, 1, 0, 0))
    table.add_column("feature", overflow="fold")
    for name in ("missing", "unknown", *(f"PSI\n{name}" for name in psi_groups[-3:])):
        table.add_column(name, justify="right", no_wrap=True)
    marked = [item for item in most_shifted(document) if psi_groups][:lines]
    shares = {f"most {what}": most(document, what)[:lines] for what in ("missing", "unknown")}
    for what, features in {"most shifted": marked, **shares}.items():
        if features:
            table.add_row(f"[bold]{what}[/]")
        for feature in features:
            table.add_row(f"  {feature['name']}", *_cells(feature, later, psi_groups[-3:], document))
        table.add_section()
    return table


def _cells(feature: Document, later: Sequence[str], shown: Sequence[str], document: Document) -> list[str]:
    cells = [_shares(feature, later, what) for what in ("missing", "unknown")]
    for name in shown:
        measured = feature["groups"][name]
        style = STYLES[level(measured, document["marks"])]
        value = text.index(measured["psi"])
        cells.append(f"[{style}]{value}[/]" if style else value)
    return cells


def _shares(feature: Document, later: Sequence[str], what: str) -> str:
    if what == "unknown" and feature["kind"] not in {"categorical", "sequence"}:
        return ""
    known = [feature["groups"][name][what] for name in later if feature["groups"][name][what] is not None]
    after = text.percent(max(known)) if known else text.DASH
    if TRAINING not in feature["groups"]:
        return after
    before = text.percent(feature["groups"][TRAINING][what])
    return after if after == before else f"{before.removesuffix(' %')} → {after}"
