"""One look for all pictures: Okabe and Ito's palette, which stays apart for colour-blind readers."""

from __future__ import annotations

import base64
import io
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK = "#1f2933"
GREY = "#7b8794"
GRID = "#e4e7eb"
COLOURS: Mapping[str, str] = MappingProxyType(
    {
        "base_rate": "#7b8794",
        "slot_rate": "#cc79a7",
        "model": "#0072b2",
        "model_raw": "#e69f00",
        "truth": "#009e73",
    }
)
CYCLE = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#000000")
LABELS: Mapping[str, str] = MappingProxyType(
    {
        "base_rate": "base rate",
        "slot_rate": "slot rate",
        "model": "model",
        "model_raw": "model, uncalibrated",
        "truth": "true probability",
    }
)
SETTINGS: Any = MappingProxyType(
    {
        "font.size": 10,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": GREY,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "xtick.color": INK,
        "ytick.color": INK,
        "svg.hashsalt": "camoe",
        # Names are data: a `$` in one is no formula, and browsers have letters that matplotlib's own font lacks.
        "text.parse_math": False,
        "svg.fonttype": "none",
    }
)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of that size in inches."""
    return Figure(figsize=(width, height), layout="constrained")


def tidy(axes: Axes, grid: str) -> None:
    """Leave only the lines that carry meaning; `grid` is x, y or both."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis=grid, color=GRID, linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.tick_params(length=0)


def svg_uri(figure: Figure) -> str:
    """Return the figure as a data URI of an SVG image."""
    return (
        "data:image/svg+xml;base64,"
        + base64.b64encode(saved(figure, format="svg", metadata={"Date": None}, transparent=True)).decode()
    )


def saved(figure: Figure, **how: Any) -> bytes:
    """Return the figure as an image, as `Figure.savefig` makes it."""
    buffer = io.BytesIO()
    with rc_context(dict(SETTINGS)), warnings.catch_warnings():
        # Of letters that the font lacks: in a page the browser has them.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(buffer, **how)
    return buffer.getvalue()


@dataclass(frozen=True)
class Picture:
    """Image of a page, with what it shows in words; a `wide` one takes the page's whole width."""

    uri: str
    caption: str
    wide: bool = False


def draw_picture(
    draw: Callable[[Axes], object], size: tuple[float, float], caption: str, wide: bool = False
) -> Picture:
    """Have `draw` fill the axes of a figure of `size`, in inches."""
    with rc_context(dict(SETTINGS)):
        figure = new_figure(*size)
        draw(figure.subplots())
    return Picture(svg_uri(figure), caption, wide)
