"""The page of a market experiment, one self-contained HTML text, and the files of its folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from camoe.contracts.files import write_json, write_text
from camoe.report import market_figures as figures
from camoe.report import text
from camoe.report.style import Picture, draw_picture

Document = Mapping[str, Any]
# Of the published online test (three weeks, 20 markets, p < .005): change of eCPC and of CTR.
PUBLISHED: Mapping[str, Mapping[str, float]] = {
    "audio": {"ecpc": -0.08, "ctr": 0.10},
    "video": {"ecpc": -0.012, "ctr": 0.014},
}


def write_market_report(document: Document, folder: Path) -> Path:
    """Write market.json and index.html into `folder`, each atomically; return the page's path."""
    folder.mkdir(parents=True, exist_ok=True)
    page = render_market(document)
    write_json(folder / "market.json", document)
    write_text(folder / "index.html", page)
    return folder / "index.html"


def render_market(document: Document) -> str:
    """Render the page; `document` is that of `camoe.market.experiment.document`."""
    environment = Environment(
        loader=PackageLoader("camoe.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(count=text.count, percent=text.percent, change=_change, p=_p)
    return environment.get_template("market.html").render(
        document=document,
        published=PUBLISHED,
        names=figures.NAMES,
        labels=figures.LABELS,
        pictures=list(_pictures(document)),
        worst=max((over["prices"] for design in document["overspend"].values() for over in design), default=0.0),
    )


def _pictures(document: Document) -> Iterator[Picture]:
    draw = partial(figures.draw_arms, document=document)
    yield draw_picture(draw, (6.2, 3.6), "CTR, eCPC and eCPM of each queue, by expected clicks.")
    draw = partial(figures.draw_designs, document=document)
    yield draw_picture(draw, (6.2, 3.6), "The same change as each design tells it, all slots, by expected clicks.")
    draw = partial(figures.draw_spend, document=document)
    yield draw_picture(draw, (6.2, 3.6), "Money of both arms over the day, beside the plan of all budgets.")
    for place, _ in enumerate(document["queues"]):
        draw = partial(figures.draw_won, document=document, queue=place)
        caption = "A model that errs wins what it overrates (the winner's curse); on the dashed line it is right."
        yield draw_picture(draw, (4.8, 4.2), caption)
    draw = partial(figures.draw_sizes, rows=document["sizes"])
    yield draw_picture(draw, (6.2, 3.4), "Who gains: true value of what was shown, whole market, treated over control.")


def _change(value: float | None) -> str:
    return text.DASH if value is None else f"{100 * value:+.1f} %"


def _p(value: float | None) -> str:
    if value is None:
        return text.DASH
    return "< .001" if value < 0.001 else f"{value:.3f}"
