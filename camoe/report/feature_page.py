"""The feature report as one self-contained HTML page, and the files of its folder."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from camoe.contracts.files import write_json, write_text
from camoe.report import feature_figures, text
from camoe.report.feature_view import TRAINING, Document, later_groups, level, most, most_shifted, shift
from camoe.report.style import Picture, draw_picture

# Lines of a picture; the table below the pictures has every feature.
SHOWN = 30
ROW_HEIGHT = 0.27


def write_feature_report(document: Document, folder: Path) -> tuple[Path, Path]:
    """Write features.json and index.html into `folder`, each atomically; `document` is features.report's."""
    data, page = folder / "features.json", folder / "index.html"
    html = render_features(document)
    write_json(data, document)
    write_text(page, html)
    return data, page


def render_features(document: Document) -> str:
    """Render the page as one self-contained HTML text."""
    environment = Environment(
        loader=PackageLoader("camoe.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters.update(count=text.count, percent=text.percent, span=text.span, index=text.index)
    later = later_groups(document)
    return environment.get_template("features.html").render(
        document=document,
        later=later,
        labelled=_labelled(document),
        training=TRAINING if TRAINING in document["groups"] else None,
        tiles=list(_tiles(document, later)),
        features=most_shifted(document),
        ages={entity["name"]: entity["age_s"] for entity in document["entities"]},
        readers=_readers(document),
        level=partial(level, marks=document["marks"]),
        shift_picture=_shift_picture(document),
        share_pictures=list(_share_pictures(document, later)),
        age_pictures=list(_age_pictures(document)),
    )


def _labelled(document: Document) -> dict[str, list[str]]:
    """Return the days whose labels are taken as of each time."""
    days: dict[str, list[str]] = {}
    for day, moment in sorted(document["run"]["label_as_of"].items()):
        days.setdefault(moment, []).append(day)
    return days


def _tiles(document: Document, later: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield the title, number and explanation of each tile."""
    steps = document["steps"]
    read, written = steps[0]["rows_in"], steps[-1]["rows_out"]
    yield "rows written", text.count(written), f"of {text.count(read)} read"
    checked = next(step for step in steps if "quarantine" in step["name"])
    refused = checked["rows_in"] - checked["rows_out"]
    yield "quarantined", text.percent(refused / read if read else None), f"{text.count(refused)} rows"
    if document["entities"]:
        worst = min(document["entities"], key=lambda entity: entity["matched"])
        yield "lowest match rate", text.percent(worst["matched"], 1), f"entity {worst['name']}"
    if later and TRAINING in document["groups"]:
        first = most_shifted(document)[0]
        marked = [
            feature
            for feature in document["features"]
            if any(level(feature["groups"][name], document["marks"]) in ("moderate", "large") for name in later)
        ]
        what = f"of {len(document['features'])}; most: {first['name']}, PSI {text.index(shift(first, later))}"
        yield "shifted features", str(len(marked)), what


def _readers(document: Document) -> dict[str, list[str]]:
    """Return the features that read each entity."""
    return {
        entity["name"]: sorted(item["name"] for item in document["features"] if entity["name"] in item["entities"])
        for entity in document["entities"]
    }


def _shift_picture(document: Document) -> Picture | None:
    if TRAINING not in document["groups"]:
        return None
    measured = {day for item in document["features"] for day in item["days"]}
    group_of = {day: name for name, of in document["groups"].items() for day in of if day in measured}
    features = [item for item in most_shifted(document) if _ever_shifted(item)][:SHOWN]
    if not features:
        return None
    draw = partial(feature_figures.draw_shift, features=features, days=dict(sorted(group_of.items())))
    caption = (
        "PSI of each day of the run against all training days, the most shifted features first. White and blue: "
        f"below 0.1; yellow: 0.1 to 0.25; orange and red: above. The other {len(document['features']) - len(features)} "
        "features lie lower on every day."
    )
    return draw_picture(draw, (11.5, 1.1 + ROW_HEIGHT * len(features)), caption, wide=True)


def _ever_shifted(feature: Document) -> bool:
    return any((measured["psi"] or 0.0) >= feature_figures.WORTH_A_NUMBER for measured in feature["days"].values())


def _share_pictures(document: Document, later: Sequence[str]) -> Iterator[Picture]:
    captions = {
        "missing": "Rows without a value: grey bars on the training days, dots on later ones.",
        "unknown": "Rows with a value that the vocabulary lacks: rarer than min_count, or new.",
    }
    for what, caption in captions.items():
        features = most(document, what)[:SHOWN]
        if features:
            draw = partial(feature_figures.draw_shares, features=features, what=what, groups=later)
            yield draw_picture(draw, (6.2, 1.1 + ROW_HEIGHT * len(features)), caption)


def _age_pictures(document: Document) -> Iterator[Picture]:
    for entity in document["entities"]:
        if any(item["age_s"] is not None for item in entity["days"]):
            caption = f"How old the joined {entity['name']} rows were at the impression: percentiles of each day."
            yield draw_picture(partial(feature_figures.draw_ages, entity=entity), (5.2, 3.1), caption)
