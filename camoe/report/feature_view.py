"""The part of features.json that the page and the terminal show: which features stand out, and how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Document = Mapping[str, Any]

TRAINING = "training"
# A shift below twice what chance alone gives is not marked.
ABOVE_CHANCE = 2.0


def later_groups(document: Document) -> list[str]:
    """Return the groups of days that are held against the training days."""
    return [name for name in document["groups"] if name != TRAINING]


def level(measured: Document, marks: Mapping[str, float]) -> str:
    """Return how a PSI reads: large, moderate, none, or chance when the rows are too few to tell."""
    value, chance = measured["psi"], measured["psi_by_chance"]
    if value is None or value < marks["moderate"]:
        return "none"
    if value < ABOVE_CHANCE * chance:
        return "chance"
    return "large" if value >= marks["large"] else "moderate"


def shift(feature: Document, groups: Sequence[str]) -> float:
    """Return the largest PSI of a feature over `groups`; -1 where none is known."""
    values = [feature["groups"][name]["psi"] for name in groups]
    return max((value for value in values if value is not None), default=-1.0)


def largest_share(feature: Document, what: str) -> float:
    """Return the largest share of missing or unknown rows over all groups."""
    return max((measured[what] or 0.0 for measured in feature["groups"].values()), default=0.0)


def most_shifted(document: Document) -> list[Document]:
    """Return all features, the most shifted first; those of the calendar, which shift by nature, last."""
    groups = later_groups(document)
    return sorted(
        document["features"], key=lambda feature: (feature["calendar"], -shift(feature, groups), feature["name"])
    )


def most(document: Document, what: str) -> list[Document]:
    """Return the features with any missing or unknown rows, the most of them first."""
    some = [feature for feature in document["features"] if largest_share(feature, what) > 0]
    return sorted(some, key=lambda feature: (-largest_share(feature, what), feature["name"]))
