"""The picture of two groups, one an axis: which variants nothing beats on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from camoe.report.style import CYCLE, GREY, INK, SETTINGS, new_figure, saved, tidy
from camoe.study.compare import Compared, Line
from camoe.study.declared import Study

Ends = tuple[float, float]
DPI = 130


@dataclass(frozen=True)
class Point:
    """A variant: change of AUC-PR on either axis, each with its 95 % interval; that of the baseline is none."""

    variant: str
    x: float
    y: float
    x_ends: Ends
    y_ends: Ends

    def dominates(self, other: Point) -> bool:
        """Return whether it is no worse on both axes and better on one, as measured."""
        return self.x >= other.x and self.y >= other.y and (self.x, self.y) != (other.x, other.y)


def points(compared: Compared, pair: tuple[str, str]) -> list[Point]:
    """Return a point for each variant on the two groups of `pair`."""
    by_group = {(line.group, line.variant): line for line in compared.lines}
    variants = dict.fromkeys(line.variant for line in compared.lines)
    found = []
    for variant in variants:
        (x, x_ends), (y, y_ends) = (_place(by_group[group, variant]) for group in pair)
        found.append(Point(variant, x, y, x_ends, y_ends))
    return found


def dominated(found: Sequence[Point]) -> dict[str, str]:
    """Return by variant that is dominated one that dominates it and that none dominates itself."""
    front = [one for one in found if not any(other.dominates(one) for other in found)]
    return {
        one.variant: next(other.variant for other in front if other.dominates(one)) for one in found if one not in front
    }


def picture(study: Study, compared: Compared, pair: tuple[str, str], names: Mapping[str, str]) -> bytes:
    """Return the picture of `pair` as PNG: error bars, the front drawn, dominated variants hollow and named."""
    with rc_context(dict(SETTINGS)):
        figure = new_figure(8.0, 6.4)
        _draw(figure.subplots(), study, points(compared, pair), pair, names)
        return saved(figure, format="png", dpi=DPI)


def _draw(axes: Axes, study: Study, found: Sequence[Point], pair: tuple[str, str], names: Mapping[str, str]) -> None:
    beaten = dominated(found)
    front = sorted((one for one in found if one.variant not in beaten), key=lambda one: (one.x, -one.y))
    axes.plot(
        [one.x for one in front], [one.y for one in front],
        color=INK, linewidth=1.2, drawstyle="steps-pre", zorder=1, label="front, as measured",
    )  # fmt: skip
    for place, one in enumerate(found):
        colour, hollow = CYCLE[place % len(CYCLE)], one.variant in beaten
        title = study.variants[one.variant].title
        label = f"{title} (behind {study.variants[beaten[one.variant]].title})" if hollow else title
        axes.hlines(one.y, *one.x_ends, color=colour, alpha=0.35, linewidth=1.2, zorder=2)
        axes.vlines(one.x, *one.y_ends, color=colour, alpha=0.35, linewidth=1.2, zorder=2)
        marker = "os^Dv<>P"[place // len(CYCLE) % 8]
        face = "white" if hollow else colour
        axes.scatter(one.x, one.y, s=58, marker=marker, facecolor=face, edgecolor=colour, zorder=3, label=label)
    axes.axhline(0, color=GREY, linewidth=0.8, linestyle=":")
    axes.axvline(0, color=GREY, linewidth=0.8, linestyle=":")
    tidy(axes, "both")
    for axis, group in ((axes.xaxis, pair[0]), (axes.yaxis, pair[1])):
        axis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        axis.set_label_text(f"change of AUC-PR, {names.get(group, group)} (95 %)")
    axes.set_title(f"{len(study.seeds)} seeds, against {study.variants[study.baseline].title}")
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper center", bbox_to_anchor=(0.5, -0.12))


def _place(line: Line) -> tuple[float, Ends]:
    own = line.changes.get("auc_pr")
    return (0.0, (0.0, 0.0)) if own is None else (own.value, own.interval)
