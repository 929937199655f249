"""The table of a compression, as Markdown and as JSON has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from camoe.compress.measure import COMPARED, Measured
from camoe.metrics.comparison import Difference
from camoe.metrics.intervals import optional
from camoe.report.text import metric, span

NAMES = {"auc_pr": "AUC-PR", "ne": "NE", "ece": "ECE"}


def markdown(found: Sequence[Measured], days: str, command: str) -> str:
    """Return the page: what each stage costs, and a table of metrics a group."""
    return "\n".join([f"`{command}`\n", *_costs(found), *_metrics(found, days)]) + "\n"


def document(found: Sequence[Measured], days: str, command: str) -> dict[str, Any]:
    """Return the same for programs; None for what is undefined."""
    return {"command": command, "days": days, "stages": [_stage(one) for one in found]}


def _costs(found: Sequence[Measured]) -> Iterator[str]:
    yield "| model | version | parameters | made in | multiplications a row | scoring, µs a row | of the source |"
    yield "|---|---|--:|--:|--:|--:|--:|"
    for one in found:
        share = one.microseconds / found[0].microseconds
        yield (
            f"| {one.stage.name} | {one.version} | {one.parameters:,} | {span(one.stage.seconds or None)} | "
            f"{one.multiplications:,.0f} | {one.microseconds:.1f} | {share:.2f} |"
        )


def _metrics(found: Sequence[Measured], days: str) -> Iterator[str]:
    for group in found[0].groups:
        of_all = found[0].groups[group].state.users
        yield (
            f"\n{group}, {days}: {of_all.rows:,} impressions, {of_all.clicks:,} positives; changes from the source "
            "with 95 % intervals, paired by user\n"
        )
        yield "| model | " + " | ".join(f"{NAMES[name]} | change" for name in COMPARED) + " |"
        yield "|---|" + "--:|---|" * len(COMPARED)
        for one in found:
            cells = (
                f"{metric(optional(one.groups[group].estimates[name].value))} | "
                f"{_change(one.differences[group, name]) if one is not found[0] else ''}"
                for name in COMPARED
            )
            yield f"| {one.stage.name} | {' | '.join(cells)} |"


def _change(found: Difference) -> str:
    if found.value is None or found.interval is None:
        return "undefined"
    return f"{found.value:+.4f} [{found.interval.low:+.4f}, {found.interval.high:+.4f}]"


def _stage(one: Measured) -> dict[str, Any]:
    metrics = {
        group: {
            name: {
                "value": optional(own.estimates[name].value),
                "change": one.differences[group, name].value,
                "interval": _ends(one.differences[group, name]),
            }
            for name in COMPARED
        }
        for group, own in one.groups.items()
    }
    return {
        "name": one.stage.name,
        "bundle": str(one.stage.bundle),
        "version": one.version,
        "seconds": round(one.stage.seconds, 1),
        "parameters": one.parameters,
        "multiplications": round(one.multiplications),
        "microseconds": round(one.microseconds, 2),
        "metrics": metrics,
    }


def _ends(found: Difference) -> list[float] | None:
    return None if found.interval is None else [found.interval.low, found.interval.high]
