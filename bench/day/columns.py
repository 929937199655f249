"""What features cost that are added to a table of many days, beside a build of the same days anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.day.pipeline import Cost, Pipeline

Features = dict[str, Any]


def _of_an_entity(features: Features) -> str:
    """Declare a feature of users, whose key the table has, and return its name."""
    features["categorical"].append({"name": "market_os", "sql": "concat(user.market, user.os)"})
    return "market_os"


def _of_the_log(features: Features) -> str:
    """Declare one of contexts, whose key the log alone has."""
    features["categorical"].append({"name": "device_genre", "sql": "concat(context.device, context.genre)"})
    return "device_genre"


def _of_the_history(features: Features) -> str:
    """Declare the past of one more key, for which the log is read back to the history's first day."""
    features["history"]["keys"]["market"] = {"by": ["user.market"], "make": ["rates"]}
    return "market_click_rate_all"


MORE: dict[str, Callable[[Features], str]] = {
    "entity": _of_an_entity,
    "log": _of_the_log,
    "history": _of_the_history,
}


def costs_of_columns(made: Callable[[Path], Pipeline], home: Path) -> dict[str, Cost]:
    """Return what adding each kind of feature to all days costs, and a build of these days with all of them.

    Raises:
        RuntimeError: a job failed, or the days with added columns are not those of the build.
    """
    added, anew = made(home / "added"), made(home / "anew")
    added.prepare()
    costs = {"build": added.build(0, added.days - 1)}
    for name, declare in MORE.items():
        costs[name] = added.add(added.declare(declare))
    anew.prepare()
    for declare in MORE.values():
        anew.declare(declare)
    costs["anew"] = anew.build(0, anew.days - 1)
    if _content(added, "add_columns") != _content(anew, "build_features"):
        raise RuntimeError("days with added columns are not those of a build from nothing")
    return costs


def _content(of: Pipeline, job: str) -> dict[str, str]:
    counted = json.loads((of.home / "out/counts.json").read_text(encoding="utf-8"))
    found: dict[str, str] = counted[job]["content_hash"]
    return found
