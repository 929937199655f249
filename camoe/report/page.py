"""The HTML page and the summary picture, from metrics.json and what training left in the bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib import rc_context
from matplotlib.figure import Figure

from camoe.report import figures, text
from camoe.report.style import COLOURS, LABELS, SETTINGS, Picture, draw_picture, new_figure

Document = Mapping[str, Any]
ROW_HEIGHT = 0.42


def render(document: Document, training: Document, counts: Document) -> str:
    """Render the page as one self-contained HTML text.

    `document` is metrics.json, `counts` is counts.json. `training` is the bundle's metrics: its `gate_weights` (head to
    weight per expert) and `epochs` (epoch, train_loss, validation_ne per head) are drawn where they are there, and
    `members` and `refit` are told of.
    """
    environment = Environment(
        loader=PackageLoader("camoe.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(count=text.count, metric=text.metric, percent=text.percent)
    objectives = [
        {"name": name, "rows": _grouped(document, name), "pictures": list(_pictures(document, name)), "bar": bar}
        for name, bar in document["bar"].items()
    ]
    return environment.get_template("template.html").render(
        document=document,
        objectives=objectives,
        training=list(_training_pictures(training)),
        counts={stage: list(_flat(rows)) for stage, rows in counts.items()},
        labels=LABELS,
        colours=COLOURS,
    )


def summary_figure(document: Document, objective: str) -> Figure:
    """Draw NE per slot beside the reliability of each modality, for a README."""
    rows = _slot_rows(document, objective)
    reliability = document["reliability"][objective]
    with rc_context(dict(SETTINGS)):
        figure = new_figure(5.2 + 3.9 * len(reliability), 4.4)
        axes = figure.subplots(1, 1 + len(reliability), width_ratios=[1.5] + [1] * len(reliability))
        figures.draw_entropy(axes[0], rows, document["names"])
        for panel, (modality, points) in zip(axes[1:], reliability.items(), strict=True):
            figures.draw_reliability(panel, f"Calibration, {modality}", points)
    return figure


def _pictures(document: Document, objective: str) -> Iterator[Picture]:
    rows, names = _slot_rows(document, objective), document["names"]
    height = 1.5 + ROW_HEIGHT * len({row["group"] for row in rows})
    bins = document["run"]["ece_bins"]
    yield draw_picture(
        partial(figures.draw_entropy, rows=rows, names=names),
        (6.2, height),
        "Normalised entropy per slot: from the base rate (grey) over the model towards the true probability.",
    )
    yield draw_picture(
        partial(figures.draw_auc_pr, rows=rows, names=names),
        (6.2, height),
        "AUC-PR per slot. Bars are 95 % intervals from a bootstrap over user buckets.",
    )
    for modality, points in document["reliability"][objective].items():
        yield draw_picture(
            partial(figures.draw_reliability, title=f"Calibration, {modality}", points=points),
            (4.6, 4.4),
            f"Reliability on {modality}, {bins} equal-mass bins. On the dashed line predictions are right on average.",
        )


def _training_pictures(training: Document) -> Iterator[Picture]:
    gates, epochs = training.get("gate_weights"), training.get("epochs")
    # A model without experts has no weights.
    if gates and any(gates.values()):
        yield draw_picture(
            partial(figures.draw_gates, weights=gates),
            (4.6, 1.4 + 0.5 * len(gates)),
            "How much each head takes from each expert.",
        )
    if gates and epochs:
        draw = partial(figures.draw_training, epochs=epochs, heads=list(gates))
        of = "Loss on the training days and NE of each head on the validation days"
        yield draw_picture(draw, (4.6, 3.4), f"{of}{_which_model(training)}.")


def _which_model(training: Document) -> str:
    """Say which model the figures of training are of, where the bundle holds another."""
    first = ", of the first of the models that are averaged" if training.get("members") else ""
    refit = "; the model itself is a refit, which learned from the validation days, too"
    return first + (refit if training.get("refit") else "")


def _slot_rows(document: Document, objective: str) -> list[Document]:
    return [row for row in document["rows"] if (row["objective"], row["group_kind"]) == (objective, "slot")]


def _grouped(document: Document, objective: str) -> list[list[Document]]:
    """Return the rows of the objective, those of one group together, in order."""
    groups: dict[tuple[str, str], list[Document]] = {}
    for row in document["rows"]:
        if row["objective"] == objective:
            groups.setdefault((row["group_kind"], row["group"]), []).append(row)
    return list(groups.values())


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested counts as (dotted name, text)."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield name, text.count(value)
    else:
        yield name, str(value)
