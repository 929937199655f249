"""Numbers as a reader wants them; an undefined metric is a dash."""

from __future__ import annotations

DASH = "–"  # noqa: RUF001  (an en dash, as in a printed table)


def count(value: int | None) -> str:
    """1234567 as 1,234,567."""
    return DASH if value is None else f"{value:,}"


def metric(value: float | None) -> str:
    """Four decimals: AUC-PR, ROC-AUC, NE."""
    return DASH if value is None else f"{value:.4f}"


def percent(value: float | None, decimals: int = 2) -> str:
    """A rate in per cent."""
    return DASH if value is None else f"{100 * value:.{decimals}f} %"
