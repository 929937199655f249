"""Numbers as a reader wants them; an undefined metric is a dash."""

from __future__ import annotations

DASH = "–"  # noqa: RUF001  (an en dash, as in a printed table)


def count(value: int | None) -> str:
    """Write 1234567 as 1,234,567."""
    return DASH if value is None else f"{value:,}"


def metric(value: float | None) -> str:
    """Write AUC-PR, ROC-AUC or NE with four decimals."""
    return DASH if value is None else f"{value:.4f}"


def percent(value: float | None, decimals: int = 2) -> str:
    """Write a rate in per cent."""
    return DASH if value is None else f"{100 * value:.{decimals}f} %"


def span(seconds: float | None) -> str:
    """Write a length of time in its largest unit: 42 s, 3.5 min, 7 h, 12.3 d."""
    if seconds is None:
        return DASH
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= size:
            return f"{seconds / size:.1f}".removesuffix(".0") + f" {unit}"
    return f"{seconds:.0f} s"


def index(value: float | None) -> str:
    """Write a population stability index with three decimals."""
    return DASH if value is None else f"{value:.3f}"
