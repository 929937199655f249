"""The pictures, each drawn on given axes from metrics.json or from the bundle's metrics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from camoe.report.style import COLOURS, CYCLE, GREY, INK, LABELS, tidy

Row = Mapping[str, Any]
# Predictors of the picture of NE; the model is drawn over the others.
ENTROPY_OF = ("base_rate", "slot_rate", "truth", "model")
BELOW: Any = MappingProxyType({"loc": "upper center", "bbox_to_anchor": (0.5, -0.16)})


def draw_reliability(axes: Axes, title: str, points: Sequence[Row]) -> None:
    """Draw the observed rate against mean prediction per equal-mass bin, with 95 % intervals; both axes logarithmic."""
    shown = [point for point in points if point["mean_predicted"] > 0]
    axes.set_title(title)
    axes.set(xlabel="mean predicted", ylabel="observed (95 % interval)")
    tidy(axes, "both")
    if not shown:
        axes.text(0.5, 0.5, "no labelled impressions", transform=axes.transAxes, ha="center", color=GREY)
        return
    x = np.array([point["mean_predicted"] for point in shown])
    observed = np.array([point["observed"] for point in shown])
    positive = observed[observed > 0]
    lowest = min(x.min(), positive.min() if len(positive) else x.min()) * 0.6
    highest = min(max(x.max(), observed.max(), lowest * 4) * 1.6, 1.0)
    axes.plot([lowest, highest], [lowest, highest], color=GREY, linewidth=1, linestyle="--", zorder=1)
    low = np.maximum([point["low"] for point in shown], lowest)
    high = np.array([point["high"] for point in shown])
    axes.vlines(x, low, high, color=COLOURS["model"], linewidth=1.4, alpha=0.55)
    axes.scatter(x[observed > 0], positive, color=COLOURS["model"], s=26, zorder=3)
    axes.set(xscale="log", yscale="log", xlim=(lowest, highest), ylim=(lowest, highest), aspect="equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(_percent))
        axis.set_minor_formatter(FuncFormatter(lambda value, _: ""))


def draw_entropy(axes: Axes, rows: Sequence[Row], names: Mapping[str, str]) -> None:
    """Draw normalised entropy per group as a dumbbell: base rate, slot rate, model, and the truth if there is one."""
    groups = _groups(rows)
    for place, group in enumerate(groups):
        values = {row["predictor"]: row["ne"] for row in rows if row["group"] == group and row["ne"] is not None}
        ends = [values[name] for name in ENTROPY_OF if name in values]
        if ends:
            axes.hlines(place, min(ends), max(ends), color=GREY, linewidth=2, alpha=0.45, zorder=1)
        else:
            _undefined(axes, place)
        for name in ENTROPY_OF:
            if name in values:
                axes.scatter(values[name], place, color=COLOURS[name], s=52, zorder=3)
    _name_groups(axes, groups, names)
    axes.set_title("Normalised entropy")
    axes.set_xlabel("NE, lower is better")
    _legend(axes, [name for name in ENTROPY_OF if any(row["predictor"] == name for row in rows)])


def draw_auc_pr(axes: Axes, rows: Sequence[Row], names: Mapping[str, str]) -> None:
    """Draw AUC-PR per group with 95 % bootstrap intervals, beside the base rate, which is what a constant reaches."""
    groups = _groups(rows)
    kinds = [name for name in ("base_rate", "truth", "model") if any(row["predictor"] == name for row in rows)]
    for place, group in enumerate(groups):
        if all(row["auc_pr"] is None for row in rows if row["group"] == group):
            _undefined(axes, place)
    for row in (row for row in rows if row["auc_pr"] is not None and row["predictor"] in kinds):
        name, place = row["predictor"], groups.index(row["group"])
        level = place + {"base_rate": 0.0, "truth": 0.16, "model": -0.16}[name]
        ends = row["auc_pr_interval"]
        if ends and name != "base_rate":
            axes.hlines(level, ends["low"], ends["high"], color=COLOURS[name], linewidth=2, alpha=0.6)
        axes.scatter(row["auc_pr"], level, color=COLOURS[name], s=40, zorder=3)
    _name_groups(axes, groups, names)
    axes.set_title("AUC-PR")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(FuncFormatter(lambda value, _: ""))
    axes.set_xlabel("average precision (log scale), higher is better")
    _legend(axes, sorted(kinds))


def draw_gates(axes: Axes, weights: Mapping[str, Sequence[float]]) -> None:
    """Draw the mean gate weight per head and expert."""
    grid = np.array([list(row) for row in weights.values()], dtype=float)
    axes.imshow(grid, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (head, expert), value in np.ndenumerate(grid):
        axes.text(expert, head, f"{value:.2f}", ha="center", va="center", color="white" if value > 0.55 else INK)
    axes.set_xticks(range(grid.shape[1]), [f"expert {index + 1}" for index in range(grid.shape[1])])
    axes.set_yticks(range(grid.shape[0]), list(weights))
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)
    axes.set_title("Mean gate weight per head")


def draw_training(axes: Axes, epochs: Sequence[Row], heads: Sequence[str]) -> None:
    """Draw training loss per epoch, and the validation NE of each of `heads` on a scale of its own."""
    x = [epoch["epoch"] for epoch in epochs]
    axes.set_title("Training")
    axes.set(xlabel="epoch", ylabel="training loss")
    axes.plot(
        x, [epoch["train_loss"] for epoch in epochs], marker="o", color=GREY, linestyle="--", label="training loss"
    )
    axes.set_xticks(x)
    tidy(axes, "y")
    right = axes.twinx()
    for place, head in enumerate(heads):
        entropy = np.array([epoch["validation_ne"][place] for epoch in epochs], dtype=float)
        right.plot(x, entropy, marker="o", color=CYCLE[place % len(CYCLE)], label=f"NE {head}")
    right.set_ylabel("validation NE")
    right.spines[["top", "left"]].set_visible(False)
    right.tick_params(length=0)
    lines = [*axes.get_lines(), *right.get_lines()]
    axes.legend(lines, [str(line.get_label()) for line in lines], ncols=3, frameon=False, **BELOW)


def _undefined(axes: Axes, place: int) -> None:
    transform = axes.get_yaxis_transform()
    axes.text(0.02, place, "undefined: clicks needed", transform=transform, va="center", color=GREY)


def _percent(value: float, _: int) -> str:
    return f"{100 * value:g} %"


def _groups(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["group"] for row in rows))


def _name_groups(axes: Axes, groups: Sequence[str], names: Mapping[str, str]) -> None:
    axes.set_yticks(range(len(groups)), [names.get(group, group) for group in groups])
    axes.set_ylim(len(groups) - 0.5, -0.5)
    tidy(axes, "x")


def _legend(axes: Axes, kinds: Sequence[str]) -> None:
    for name in kinds:
        axes.scatter([], [], color=COLOURS[name], label=LABELS[name], s=40)
    axes.legend(ncols=len(kinds), frameon=False, handletextpad=0.1, **BELOW)
