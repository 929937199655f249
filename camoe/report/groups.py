"""What the page says of each group: the model's figures, what they are held against, and whether it loses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Document = Mapping[str, Any]
Key = tuple[str, str, str]
TITLES = {"all": "All", "modality": "Modalities", "slot": "Slots", "head": "Heads"}
# Metrics of the differences, as the page names them.
METRICS = {"auc_pr": "AUC-PR", "roc_auc": "ROC-AUC", "ne": "NE", "ece": "ECE", "pcoc": "|ln PCOC|"}
MODEL, SLOT_RATE = "model", "slot_rate"


@dataclass(frozen=True)
class Group:
    """A group's rows by predictor, the differences of its model, and its days and curves.

    `loses` says how the model does against the slot's rate where its NE is higher; `verdicts` holds the word on each
    metric by the model that this one is held against.
    """

    kind: str
    group: str
    name: str
    model: Document
    rows: Mapping[str, Document]
    champions: tuple[Document, ...]
    differences: tuple[Document, ...]
    loses: str | None
    verdicts: Mapping[str, Mapping[str, str]]
    detail: Document


def kinds(document: Document, objective: str) -> dict[str, list[Group]]:
    """Return the groups of an objective by kind, overall first; heads that are modalities are left out."""
    found: dict[str, list[Group]] = {}
    for group in _groups(document, objective):
        found.setdefault(group.kind, []).append(group)
    repeated = repeated_heads(document["rows"], objective)
    heads = [group for group in found.pop("head", []) if group.group not in repeated]
    first: dict[str, list[Group]] = {kind: found.pop(kind) for kind in ("all", "modality", "slot") if kind in found}
    return {**first, **({"head": heads} if heads else {}), **found}


def _groups(document: Document, objective: str) -> Iterator[Group]:
    rows: dict[Key, dict[str, Document]] = {}
    for row in document["rows"]:
        rows.setdefault(_key(row), {})[row["predictor"]] = row
    champions = _by_key(document["champions"])
    differences = _by_key(document["differences"])
    details = {_key(one): one for one in document["groups"]}
    for key, by_predictor in rows.items():
        if key[0] != objective:
            continue
        own = tuple(differences.get(key, ()))
        against = document["run"]["against"]
        yield Group(
            kind=key[1],
            group=key[2],
            name=document["names"].get(key[2], key[2]) if key[1] == "slot" else key[2],
            model=by_predictor[MODEL],
            rows=by_predictor,
            champions=tuple(champions.get(key, ())),
            differences=own,
            loses=_loses(by_predictor, own),
            verdicts={
                name: {item["metric"]: item["verdict"] for item in own if item["against"] == name} for name in against
            },
            detail=details[key],
        )


def _loses(rows: Mapping[str, Document], differences: tuple[Document, ...]) -> str | None:
    ours, theirs = (rows[name]["ne"] if name in rows else None for name in (MODEL, SLOT_RATE))
    if ours is None or theirs is None or ours <= theirs:
        return None
    told = {item["verdict"] for item in differences if (item["against"], item["metric"]) == (SLOT_RATE, "ne")}
    return "worse than the slot's rate" if "worse" in told else "no better than the slot's rate"


def counted(groups: list[Group], against: str, metric: str) -> dict[str, int] | None:
    """Return how many of `groups` got each word on a metric against a model; None where none of them has it."""
    told = (
        item for group in groups for item in group.differences if (item["against"], item["metric"]) == (against, metric)
    )
    words = [item["verdict"] for item in told if item["p"] is not None]
    if not words:
        return None
    return {word: words.count(word) for word in ("better", "worse", "cannot tell")}


def embedded(group: Group) -> dict[str, Any]:
    """Return what the page draws and tells of a group when it is opened."""
    curves = group.detail["curves"]
    return {
        "rows": [_told(name, row) for name, row in group.rows.items()]
        + [_told(row["model_version"], row) for row in group.champions],
        "differences": [
            [item["against"], METRICS[item["metric"]], item["value"], item["interval"], item["p_holm"], item["verdict"]]
            for item in group.differences
        ],
        "days": [[day["date"], day["mean_predicted"], day["observed"]] for day in group.detail["days"]],
        "curves": curves
        and {
            "pr": list(curves["precision_recall"].items()),
            "reliability": [
                [point[name] for name in ("mean_predicted", "observed", "low", "high")]
                for point in curves["reliability"]
            ],
            "scores": [[bar[name] for name in ("low", "high", "count", "clicks")] for bar in curves["scores"]],
        },
    }


def _told(name: str, row: Document) -> list[Any]:
    numbers = ("auc_pr", "auc_pr_lift", "roc_auc", "ne", "ece", "pcoc")
    return [name, row["mean_predicted"], *([row[number], row[f"{number}_interval"]] for number in numbers)]


def repeated_heads(rows: Iterable[Document], objective: str) -> set[str]:
    """Return the heads of an objective that have the figures of a modality: they serve the same rows."""
    figures: dict[str, dict[str, tuple[Any, ...]]] = {"modality": {}, "head": {}}
    for row in rows:
        if (row["objective"], row["predictor"]) == (objective, MODEL) and row["group_kind"] in figures:
            of = tuple(row[name] for name in ("impressions", "clicks", "ne", "auc_pr"))
            figures[row["group_kind"]][row["group"]] = of
    return {head for head, of in figures["head"].items() if of in figures["modality"].values()}


def _key(row: Document) -> Key:
    return row["objective"], row["group_kind"], row["group"]


def _by_key(items: list[Document]) -> dict[Key, list[Document]]:
    found: dict[Key, list[Document]] = {}
    for item in items:
        found.setdefault(_key(item), []).append(item)
    return found
