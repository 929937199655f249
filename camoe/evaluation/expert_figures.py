"""The report on experts as one picture and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from camoe.evaluation.experts import Experts
from camoe.evaluation.gates import Floats, divergence
from camoe.metrics.intervals import optional
from camoe.report.style import CYCLE, INK, SETTINGS, new_figure, saved, tidy

DPI = 130
# Fields that a picture shows: those that move the gates most.
SHOWN = 15
# By step of the training, each head's mean weights over the validation rows.
Course = Mapping[int, Sequence[Sequence[float]]]


def course(metrics: Mapping[str, Any]) -> dict[int, Any]:
    """Return the heads' mean gate weights by step of the first model's training, from the bundle's metrics.json.

    Bundles written by earlier versions have none.
    """
    found: dict[int, Any] = {}
    before = 0
    for epoch in metrics["epochs"]:
        found |= {before + check["step"]: check.get("validation_gates") for check in epoch.get("checks", ())}
        before += len(epoch.get("losses", ()))
        found[before] = epoch.get("validation_gates")
    return {step: weights for step, weights in found.items() if weights}


def expert_document(found: Experts, course: Course) -> dict[str, Any]:
    """Return the report as JSON has it; None where something is undefined."""
    test = found.modalities
    return {
        "rows": dict(zip(found.slots, found.rows.tolist(), strict=True)),
        "mean_gate_weights": {
            head: {slot: list(map(optional, of_slot)) for slot, of_slot in zip(found.slots, of_head, strict=True)}
            for head, of_head in zip(found.heads, found.weights, strict=True)
        },
        "gate_divergence_bits": _square(found.heads, found.distances),
        "output_alignment": found.alike.tolist(),
        "effective_experts": dict(zip(found.heads, found.in_use.tolist(), strict=True)),
        "effective_experts_of_a_row": dict(zip(found.heads, found.in_use_by_row.tolist(), strict=True)),
        "fields": {name: dict(zip(found.heads, moved.tolist(), strict=True)) for name, moved in _by_size(found.fields)},
        "modalities": None if test is None else {**vars(test), "told": test.told},
        "course": {str(step): list(map(list, weights)) for step, weights in course.items()},
    }


def expert_picture(found: Experts, course: Course) -> bytes:
    """Return the report as PNG."""
    with rc_context(dict(SETTINGS)):
        rows = len(found.heads) * len(found.slots)
        figure = new_figure(13.5, 8.0 + 0.11 * rows)
        axes = figure.subplots(2, 3)
        _draw_weights(axes[0, 0], found)
        _draw_square(axes[0, 1], "Gates apart, on the same rows (bits)", found.heads, found.distances)
        names = [f"expert {number + 1}" for number in range(len(found.alike))]
        _draw_square(axes[0, 2], "Experts' outputs alike (CKA)", names, found.alike)
        _draw_in_use(axes[1, 0], found)
        _draw_fields(axes[1, 1], found)
        _draw_course(axes[1, 2], found, course)
        test = found.modalities
        if test is not None:
            title = (
                f"Experts differ by modality {test.told}: {test.divergence:.3f} bits, by chance {test.by_chance:.3f}; "
                f"p = {test.p:.3f}; modality explains {test.explained:.0%} of the weights' variance"
            )
            figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        return saved(figure, format="png", dpi=DPI)


def _draw_weights(axes: Axes, found: Experts) -> None:
    grid = found.weights.reshape(-1, found.weights.shape[2])
    _draw_grid(axes, grid, [f"{head}: {slot}" for head in found.heads for slot in found.slots])
    axes.set_xticks(range(grid.shape[1]), [str(number + 1) for number in range(grid.shape[1])])
    axes.set_title("Mean gate weight, head: slot by expert")


def _draw_square(axes: Axes, title: str, names: Sequence[str], values: Floats) -> None:
    _draw_grid(axes, values, names)
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right")
    axes.set_title(title)


def _draw_grid(axes: Axes, grid: Floats, names: Sequence[str]) -> None:
    axes.imshow(grid, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    small = grid.size > 60
    for (row, column), value in np.ndenumerate(grid):
        colour = "white" if value > 0.55 else INK
        axes.text(column, row, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=6 if small else 8)
    axes.set_yticks(range(len(names)), names, fontsize=7 if small else 9)
    axes.spines[:].set_visible(False)
    axes.tick_params(length=0)


def _draw_in_use(axes: Axes, found: Experts) -> None:
    places = np.arange(len(found.heads))
    axes.barh(places - 0.2, found.in_use, 0.38, color=CYCLE[0], label="of all its rows together")
    axes.barh(places + 0.2, found.in_use_by_row, 0.38, color=CYCLE[4], label="of a row, on average")
    axes.set_yticks(places, found.heads)
    axes.set(xlim=(1, len(found.alike)), title="Experts in use (effective number)")
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8)
    tidy(axes, "x")


def _draw_fields(axes: Axes, found: Experts) -> None:
    shown = _by_size(found.fields)[:SHOWN]
    for place, head in enumerate(found.heads):
        values = [moved[place] for _, moved in shown]
        axes.scatter(values, range(len(shown)), color=CYCLE[place % len(CYCLE)], s=26, label=head)
    axes.set_yticks(range(len(shown)), [name for name, _ in shown], fontsize=7)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0))
    axes.invert_yaxis()
    axes.set_title("Weight moved by shuffling a field")
    axes.legend(frameon=False, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=4)
    tidy(axes, "both")


def _draw_course(axes: Axes, found: Experts, course: Course) -> None:
    axes.set_title("Gates apart, over training (bits)")
    axes.set(xlabel="step", ylabel="of mean weights, from the first head")
    steps, weights = list(course), np.array(list(course.values()), dtype=np.float64)
    for place in range(1, len(found.heads) if steps else 0):
        apart = divergence(weights[:, 0], weights[:, place])
        axes.plot(steps, apart, marker="o", color=CYCLE[place % len(CYCLE)], label=found.heads[place])
    if steps and len(found.heads) > 1:
        axes.legend(frameon=False, fontsize=8)
    axes.set_ylim(0, 1)
    tidy(axes, "y")


def _by_size(fields: Mapping[str, Floats]) -> list[tuple[str, Floats]]:
    return sorted(fields.items(), key=lambda one: -float(one[1].max()))


def _square(names: Sequence[str], values: Floats) -> dict[str, dict[str, float]]:
    return {name: dict(zip(names, row.tolist(), strict=True)) for name, row in zip(names, values, strict=True)}
