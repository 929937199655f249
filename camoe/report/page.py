"""The HTML page and the summary picture, from metrics.json and what training left in the bundle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib import rc_context
from matplotlib.figure import Figure

from camoe.report import figures, groups, text
from camoe.report.style import LABELS, SETTINGS, Picture, draw_picture, new_figure

Document = Mapping[str, Any]
TRUTH = "truth"
ROW_HEIGHT = 0.42
# More slots than this leave no room in a picture: the page's table has them all.
DRAWN_SLOTS = 40
# Kinds of groups with more members than this are folded.
OPEN_GROUPS = 12
SORTS = (
    ("at up", "as listed"),
    ("name up", "name"),
    ("n down", "impressions"),
    ("clicks down", "clicks"),
    ("auc_pr down", "AUC-PR"),
    ("ne down", "NE, worst first"),
    ("pcoc down", "PCOC, most over-predicted first"),
    ("pcoc up", "PCOC, most under-predicted first"),
)


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
    environment.globals.update(between=_between, words=_words)
    objectives = [_objective(document, name) for name in document["bar"]]
    return environment.get_template("template.html").render(
        document=document,
        objectives=objectives,
        training=list(_training_pictures(training)),
        counts={stage: list(_flat(rows)) for stage, rows in counts.items()},
        sorts=SORTS,
        metrics=list(groups.METRICS.values()),
        truth=any(row["predictor"] == TRUTH for row in document["rows"]),
    )


def _objective(document: Document, name: str) -> Document:
    kinds = groups.kinds(document, name)
    members = [group for of in kinds.values() for group in of]
    place = {id(group): at for at, group in enumerate(members)}
    summaries = {one["field"]: one for one in document["fields"] if one["objective"] == name}
    return {
        "name": name,
        "bar": document["bar"][name],
        "pictures": list(_pictures(document, name)),
        "against": {against: _told(kinds, against) for against in document["run"]["against"]},
        "kinds": [
            {
                "kind": kind,
                "title": groups.TITLES.get(kind, kind),
                "groups": [{**vars(group), "at": place[id(group)]} for group in of],
                "binned": any(group.detail["curves"] for group in of),
                "open": kind == "slot" or (len(of) <= OPEN_GROUPS and kind in groups.TITLES),
                "lost": sum(group.loses is not None for group in of),
                "summary": summaries.get(kind),
            }
            for kind, of in kinds.items()
        ],
        "data": {"labels": dict(LABELS), "groups": [groups.embedded(group) for group in members]},
    }


def _told(kinds: Mapping[str, list[groups.Group]], against: str) -> dict[str, list[Mapping[str, int] | None]]:
    """Return how many groups of each kind got each word, by metric; None where nothing could be tested."""
    return {
        groups.TITLES.get(kind, kind): [groups.counted(of, against, metric) for metric in groups.METRICS]
        for kind, of in kinds.items()
        if any(group.verdicts.get(against) for group in of)
    }


def _between(interval: Document | None, digits: int = 4, of: int = 1) -> Markup:
    """Write an interval small, below its value; `of` 100 are per cents."""
    if interval is None:
        return Markup()
    low, high = (f"{of * interval[end]:.{digits}f}" for end in ("low", "high"))
    return Markup("<small>{} to {}</small>").format(low, high)


def _words(verdicts: Mapping[str, str]) -> str:
    """Write which metrics are better and worse; nothing can be told of the others."""
    told = [
        f"{word}: {', '.join(groups.METRICS[metric] for metric, of in verdicts.items() if of == word)}"
        for word in ("better", "worse")
        if word in verdicts.values()
    ]
    return "; ".join(told) or ("cannot tell" if verdicts else text.DASH)


def summary_figure(document: Document, objective: str) -> Figure:
    """Draw NE per slot, or modality where there are too many, beside the reliability of each modality, for a README."""
    rows = _rows(document, objective, "slot")
    if len({row["group"] for row in rows}) > DRAWN_SLOTS:
        rows = _rows(document, objective, "modality")
    reliability = document["reliability"][objective]
    with rc_context(dict(SETTINGS)):
        figure = new_figure(5.2 + 3.9 * len(reliability), 4.4)
        axes = figure.subplots(1, 1 + len(reliability), width_ratios=[1.5] + [1] * len(reliability))
        figures.draw_entropy(axes[0], rows, document["names"])
        for panel, (modality, points) in zip(axes[1:], reliability.items(), strict=True):
            figures.draw_reliability(panel, f"Calibration, {modality}", points)
    return figure


def _pictures(document: Document, objective: str) -> Iterator[Picture]:
    rows, names = _rows(document, objective, "slot"), document["names"]
    number = len({row["group"] for row in rows})
    if number > DRAWN_SLOTS:
        return
    height = 1.5 + ROW_HEIGHT * number
    bins = document["run"]["ece_bins"]
    yield draw_picture(
        partial(figures.draw_entropy, rows=rows, names=names),
        (6.2, height),
        "Normalised entropy per slot: base rate (grey), the slot's own rate, and the model; lower is better.",
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


def _rows(document: Document, objective: str, kind: str) -> list[Document]:
    return [row for row in document["rows"] if (row["objective"], row["group_kind"]) == (objective, kind)]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield the leaves of nested counts as (dotted name, text)."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        yield name, ", ".join(map(str, value))
    elif isinstance(value, int) and not isinstance(value, bool):
        yield name, text.count(value)
    else:
        yield name, str(value)
