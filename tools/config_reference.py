"""Writes docs/configuration.md, the reference of every key, from the configuration's models and their docstrings.

python tools/config_reference.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from camoe.config.pipeline import Config
from camoe.contracts.config_file import Section
from camoe.market.config import SimulationConfig
from features.replay import Replay
from features.synthetic.config import LakeConfig

PAGE = Path(__file__).resolve().parents[1] / "docs" / "configuration.md"
Schema = Mapping[str, Any]

HEAD = """# Every key of the configuration

Made from the configuration's models by `python tools/config_reference.py`; a test fails when it is stale.

A key is written with its path, as overrides on a command line are: `training.epochs=2`. `NAME` stands for a name of
yours, `[]` for each element of a list, which only a file can say. Every key of the first level may also name a file
that holds it (`days: days/mine.yaml`), looked for beside the one that names it. An unknown key is an error. What "acts
in" lists are the jobs that read the key: after a change, they are what to run again, in this order. "Required" keys
have no default; `null` means that there is none. [your-data.md](your-data.md) tells how the files of a lake are
written, [features.md](features.md), [history.md](history.md) and [training.md](training.md) what they make.
"""
LAKE = """# Every key of a synthetic lake

`conf/lake/*.yaml`, which `jobs/make_lake.py --config` reads; no other job does.
"""
MARKET = """# Every key of a simulation

`conf/markets/*.yaml`, which `jobs/simulate.py --config` reads; no other job does. [market.md](market.md) explains them.
"""
REPLAY = """# Every key of a replayed log's campaigns

`conf/markets/replay.yaml`, or what `jobs/replay.py --market` names. [market.md](market.md) explains them.
"""
TABLE = "| key | type | default | acts in | meaning |\n|---|---|---|---|---|"

# Jobs that read a key, by the longest path that leads to it.
ACTS = {
    "out": "all jobs",
    "lake": "all jobs",
    "work": "all jobs",
    "input": "build_features, evaluate",
    "predictions": "score, evaluate, maintain",
    "rows_per_file": "build_features, maintain",
    "bytes_per_file": "build_features, maintain",
    "slots": "build_features, train, evaluate",
    "slots.slots[].name": "evaluate",
    "heads": "train, evaluate",
    "heads.heads[].weight": "train",
    "sources": "build_features",
    "sources.objectives": "build_features, train",
    "sources.keyed_hash": "build_features, train",
    "features": "build_features, train",
    "features.numeric[].transform": "train",
    "features.numeric[].missing_indicator": "train",
    "features.sequence[].pooling": "train",
    "features.sequence[].decay_s": "train",
    "features.history.leaks": "build_features",
    "days": "build_features, train, score, evaluate",
    "model": "train",
    "training": "train",
    "training.table": "train, score, evaluate, study, experts",
    "calibration": "train, compress",
    "compress": "compress",
    "evaluation": "train, evaluate",
    "evaluation.groups": "evaluate",
    "promotion": "models",
    "drift": "score",
}
UNITS = {"_s": "seconds", "_days": "days"}


@dataclass(frozen=True)
class Part:
    """A section of the page: the keys below `path`, of one model."""

    path: str
    kind: str
    schema: Schema

    @property
    def title(self) -> str:
        """Heading; of a path that has several kinds it names the one."""
        return f"{self.path} ({self.kind})" if self.kind else self.path


def page(kind: type[Section], acts: Mapping[str, str]) -> str:
    """Return the sections of all keys of `kind`, in the order of its fields; `acts` says which jobs read them."""
    root = kind.model_json_schema()
    first: dict[str, str] = {}
    parts = list(_parts(Part("", "", root), root, first))
    return "\n\n".join(_section(part, root, acts, first) for part in parts)


def _parts(part: Part, root: Schema, seen: dict[str, str]) -> Iterator[Part]:
    """Yield `part` and those below it; of a model that comes again only the first, whose title `seen` gets."""
    yield part
    for key, node in part.schema["properties"].items():
        found = list(_references(node, _joined(part.path, key)))
        for path, name in found:
            if name not in seen:
                schema = root["$defs"][name]
                below = Part(path, _kind(schema) if len(found) > 1 else "", schema)
                seen[name] = below.title
                yield from _parts(below, root, seen)


def _references(node: Schema, path: str) -> Iterator[tuple[str, str]]:
    """Yield the models that `node` may hold, each with its path."""
    if "$ref" in node:
        yield path, node["$ref"].rpartition("/")[2]
    for union in ("anyOf", "oneOf"):
        for member in node.get(union, ()):
            yield from _references(member, path)
    if "items" in node:
        yield from _references(node["items"], f"{path}[]")
    for value in _values(node):
        yield from _references(value, f"{path}.NAME")


def _values(node: Schema) -> list[Schema]:
    """Return what the values of a mapping by names may be."""
    more = node.get("additionalProperties")
    return [*node.get("patternProperties", {}).values(), *([more] if isinstance(more, Mapping) else [])]


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _kind(schema: Schema) -> str:
    kind = schema["properties"].get("kind", {}).get("const")
    return f"kind: {kind}" if kind else ""


def _section(part: Part, root: Schema, acts: Mapping[str, str], titles: Mapping[str, str]) -> str:
    rows = [_row(part, key, _described(node, root), acts, titles) for key, node in part.schema["properties"].items()]
    heading = f"## {part.title}\n\n" if part.path else ""
    return "\n".join([f"{heading}{_plain(part.schema['description'])}\n", TABLE, *rows])


def _described(node: Schema, root: Schema) -> Schema:
    """Return `node` with its description; pydantic leaves out one that its model has, too."""
    return node if "description" in node else {**root["$defs"][node["$ref"].rpartition("/")[2]], **node}


def _row(part: Part, key: str, node: Schema, acts: Mapping[str, str], titles: Mapping[str, str]) -> str:
    path = _joined(part.path, key)
    required = key in part.schema.get("required", ())
    cells = [f"`{path}`", _type(node, _unit(key), titles), "required" if required else _default(node)]
    return "| " + " | ".join([*cells, _acts(path, acts), _cell(_plain(node["description"]))]) + " |"


def _acts(path: str, acts: Mapping[str, str]) -> str:
    return acts[max((known for known in acts if f"{path}.".startswith((f"{known}.", f"{known}["))), key=len)]


def _unit(key: str) -> str:
    return next((unit for end, unit in UNITS.items() if key.endswith(end)), "")


def _type(node: Schema, unit: str, titles: Mapping[str, str]) -> str:
    if "$ref" in node:
        title = titles[node["$ref"].rpartition("/")[2]]
        return f"[{title}](#{_anchor(title)})"
    for union in ("anyOf", "oneOf"):
        if union in node:
            return " or ".join(_type(member, unit, titles) for member in node[union])
    if "enum" in node or "const" in node:
        return ", ".join(f"`{value}`" for value in node.get("enum", [node.get("const")]))
    if node["type"] == "array":
        return f"list of {_type(node['items'], unit, titles)}"
    if node["type"] == "object":
        return f"name to {_type(_values(node)[0], unit, titles)}"
    return _scalar(node, unit)


def _scalar(node: Schema, unit: str) -> str:
    texts: Mapping[str, str] = {"date": "date", "date-time": "time", "path": "path"}
    names = {
        "integer": "whole number",
        "number": "number",
        "string": "text",
        "boolean": "true or false",
        "null": "null",
    }
    name = texts.get(node.get("format", "")) or names[node["type"]]
    if node["type"] in {"integer", "number"} and unit:
        name = f"{name} of {unit}"
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {_number(node[bound])}" for bound, sign in signs.items() if bound in node]
    return ", ".join([name, *bounds])


def _number(value: float) -> str:
    if isinstance(value, int) and abs(value) > 2**20 and abs(value).bit_count() == 1:
        return f"{'-' * (value < 0)}2^{value.bit_length() - 1}"
    return f"{value:g}"


def _default(node: Schema) -> str:
    value = node.get("default")
    if isinstance(value, Mapping):
        return "those of its keys" if value else "none"
    if value == [] or (value is None and "default" not in node):
        return "none"
    return f"`{json.dumps(value) if not isinstance(value, str) else value}`"


def _plain(text: str) -> str:
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def _cell(text: str) -> str:
    return text.replace("\n\n", " ").replace("|", "\\|")


def _anchor(title: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    kept = "".join(letter for letter in title.lower() if letter.isalnum() or letter in " _-")
    return kept.replace(" ", "-")


def reference() -> str:
    """Return the whole page."""
    made: Sequence[str] = (
        HEAD,
        page(Config, ACTS),
        "",
        LAKE,
        page(LakeConfig, dict.fromkeys(LakeConfig.model_fields, "make_lake")),
        "",
        MARKET,
        page(SimulationConfig, dict.fromkeys(SimulationConfig.model_fields, "simulate")),
        "",
        REPLAY,
        page(Replay, dict.fromkeys(Replay.model_fields, "replay")),
    )
    return "\n".join(made) + "\n"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
