"""Pictures of a market's page, from market.json."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter

from camoe.report.style import COLOURS, CYCLE, GREY, tidy

Document = Mapping[str, Any]
ARMS = (COLOURS["base_rate"], COLOURS["model"])
NAMES = {
    "whole": "truth: whole market",
    "split": "budget split",
    "shared": "users split, budgets shared",
    "a_a": "A/A: control twice",
}
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:g} %")


def draw_spend(axes: Axes, document: Document) -> None:
    """Draw the money of each arm by hour, in the split of budgets, beside the plan."""
    spend = np.array(document["spend"]["split"])
    hours = (np.arange(spend.shape[1]) + 0.5) * 24 / spend.shape[1]
    planned = np.array(document["planned"]) * spend[0].sum()
    axes.plot(hours, planned, color=GREY, linestyle="--", linewidth=1.2, label="planned by traffic")
    for name, values, colour in zip(("control", "treated"), spend, ARMS, strict=True):
        axes.plot(hours, values, color=colour, linewidth=1.6, label=f"{name}: {document['run'][name]}")
    axes.set(xlabel="hour of the lake's clock", ylabel="money a tick", xlim=(0, 24), ylim=(0, None))
    axes.set_title("Spend over the day")
    tidy(axes, "y")
    axes.legend(frameon=False)


def draw_designs(axes: Axes, document: Document) -> None:
    """Draw what each design tells of CTR, eCPC and spend, all slots together, by expected clicks."""
    rates = ("ctr", "ecpc", "spend")
    for place, (design, rows) in enumerate(document["designs"].items()):
        row = next(row for row in rows if (row["queue"], row["outcome"]) == ("all", "expected"))
        values = [row["changes"][rate] or 0.0 for rate in rates]
        axes.bar(np.arange(3) + (place - 1.5) * 0.2, values, 0.18, color=CYCLE[place], label=NAMES[design])
    axes.axhline(0, color=GREY, linewidth=1)
    axes.set_xticks(range(3), ["CTR", "eCPC", "spend a request"])
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_title("What each design would tell")
    tidy(axes, "y")
    axes.legend(frameon=False)


def draw_arms(axes: Axes, document: Document) -> None:
    """Draw each queue's changes in the split of budgets with their 95 % intervals, and the truth beside them."""
    rows = [row for row in document["result"] if row["outcome"] == "expected"]
    for place, row in enumerate(rows):
        if row["interval"]:
            axes.hlines(place, *row["interval"], color=COLOURS["model"], linewidth=2, alpha=0.6)
        if row["change"] is not None:
            axes.scatter(row["change"], place, color=COLOURS["model"], s=40, zorder=3)
        if row["truth"] is not None:
            axes.scatter(row["truth"], place, color=COLOURS["truth"], s=52, marker="D", zorder=2)
    axes.scatter([], [], color=COLOURS["model"], label="experiment, 95 % interval")
    axes.scatter([], [], color=COLOURS["truth"], marker="D", label="whole market")
    axes.axvline(0, color=GREY, linewidth=1)
    axes.set_yticks(range(len(rows)), [f"{row['queue']}, {LABELS[row['rate']]}" for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.xaxis.set_major_formatter(PERCENT)
    axes.set_title("Budget split beside the truth")
    tidy(axes, "x")
    axes.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=2)


LABELS = {"ctr": "CTR", "ecpc": "eCPC", "ecpm": "eCPM"}


def draw_won(axes: Axes, document: Document, queue: int) -> None:
    """Draw true against predicted chances of won impressions, each arm in the split of budgets."""
    for name, arm, colour in zip(("control", "treated"), document["won"]["split"], ARMS, strict=True):
        bins = np.array(arm[queue])
        bins = bins[bins[:, 0] > 0]
        predicted, true = bins[:, 1] / bins[:, 0], bins[:, 2] / bins[:, 0]
        label = f"{document['run'][name]}: predicted {_over(bins)} of true clicks"
        axes.plot(predicted, true, color=colour, marker="o", markersize=4, linewidth=1, label=label)
    low, high = axes.get_xlim()
    axes.plot([max(low, 1e-4), high], [max(low, 1e-4), high], color=GREY, linestyle="--", linewidth=1)
    axes.set(xscale="log", yscale="log", xlabel="predicted", ylabel="true chance")
    axes.set_title(f"Won impressions, {document['queues'][queue]}")
    tidy(axes, "both")
    axes.legend(frameon=False)


def _over(bins: np.ndarray[Any, Any]) -> str:
    true = bins[:, 2].sum()
    return "none" if not true else f"{100 * bins[:, 1].sum() / true:.0f} %"


def draw_sizes(axes: Axes, rows: Sequence[Document]) -> None:
    """Draw who gains: the change of what ads are worth to their advertisers, by fifths of the daily budget."""
    axes.bar([row["size"] for row in rows], [row["value"] or 0.0 for row in rows], 0.6, color=COLOURS["model"])
    axes.axhline(0, color=GREY, linewidth=1)
    axes.set_xticks([row["size"] for row in rows], [f"{row['budget']:.3g}" for row in rows])
    axes.set_xlabel("mean daily budget of the fifth")
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_title("Change of value by size of campaign")
    tidy(axes, "y")
