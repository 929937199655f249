"""What was meant by a name that is not there, for messages."""

from __future__ import annotations

import difflib
import re
from calendar import monthrange
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic import BaseModel

# Names that a message lists; of more it says how many there are.
LISTED = 20
Schema = Mapping[str, Any]


def suggestion(wrong: str, known: Collection[str]) -> str:
    """Return what to choose in place of `wrong`: the name that is most like it, and all that there are."""
    if not known:
        return "there are none"
    names = sorted(known)
    listed = ", ".join(names[:LISTED]) + (f" and {len(names) - LISTED} more" if len(names) > LISTED else "")
    meant = alike(wrong, known)
    return f"did you mean '{meant}'? There are {listed}" if meant else f"there are {listed}"


def alike(wrong: str, known: Collection[str]) -> str | None:
    """Return the one of the `known` names that is most like `wrong`, in small letters or capital ones; None of none."""
    names = {name.lower(): name for name in sorted(known)}
    found = difflib.get_close_matches(wrong.lower(), names, n=1)
    return names[found[0]] if found else None


def why_no_day(text: str) -> str:
    """Return why there is no such day or time as `text`."""
    found = re.match(r"(\d{4})-(\d\d)-(\d\d)", text)
    if found is None:
        return "a day is written as 2026-03-02"
    year, month, day = map(int, found.groups())
    if not (year and 1 <= month <= 12):
        return "years begin with 1, and have 12 months"
    last = monthrange(year, month)[1]
    if 1 <= day <= last:
        return "a time is written as 2026-03-02T06:00:00+00:00"
    return f"{found[1]}-{found[2]} has the days 1 to {last}"


def keys_at(kind: type[BaseModel], location: Sequence[str]) -> set[str]:
    """Return the keys that a `kind` takes at `location`, a path of keys and positions; of a union, those of all."""
    schema: Schema = kind.model_json_schema()
    nodes = [schema]
    for part in location:
        nodes = [below for node in _members(nodes, schema) for below in _below(node, part)]
    return {key for node in _members(nodes, schema) for key in node.get("properties", {})}


def _members(nodes: Sequence[Schema], root: Schema) -> Iterator[Schema]:
    """Yield the nodes without references, and with the members of unions in their place."""
    for node in nodes:
        if "$ref" in node:
            yield from _members([root["$defs"][node["$ref"].rpartition("/")[2]]], root)
        elif parts := [part for union in ("anyOf", "oneOf", "allOf") for part in node.get(union, ())]:
            yield from _members(parts, root)
        else:
            yield node


def _below(node: Schema, part: str) -> Iterator[Schema]:
    if part in node.get("properties", {}):
        yield node["properties"][part]
    yield from node.get("patternProperties", {}).values()
    for more in ("additionalProperties", "items"):
        if isinstance(node.get(more), Mapping):
            yield node[more]
