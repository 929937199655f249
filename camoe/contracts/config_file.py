"""Typed configuration from YAML: one file may name others, `key=value` overrides, unknown keys are errors."""

from __future__ import annotations

import json
import re
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError

from camoe.contracts.errors import ConfigError
from camoe.contracts.hashing import short_hash
from camoe.contracts.shown.suggestions import keys_at, suggestion, why_no_day

COMMAND_LINE = "the command line"

Location = tuple[str, ...]
# Where pydantic lists the values that a key may have, by what it says is wrong.
EXPECTED = {"literal_error": "expected", "union_tag_invalid": "expected_tags"}
QUOTED = re.compile(r"'([^']*)'")
# `s3:/bucket` is what becomes of `s3://bucket` once it has been a Path.
ADDRESS = re.compile(r"\s*(?P<scheme>[A-Za-z][A-Za-z0-9+.-]+):/+(?P<rest>.*)", re.DOTALL)
# Between the second and the third slash a host would stand.
FILE = re.compile(r"\s*file:(/|///+)(?!/)", re.IGNORECASE)
STORES = {"s3", "s3a"}
BUCKET_AND_PATH = re.compile(r"s3a?://[A-Za-z0-9][A-Za-z0-9._-]*(/[^?#]*)?")


def local_path(value: object) -> object:
    """Return the path without a `file://` before it.

    Raises:
        ValueError: it is an address of another place, such as `s3://bucket/path`; what follows is not repeated.
    """
    return _path(value, "a local path, or one on a disk that all machines see")


def _path(value: object, instead: str) -> object:
    found = ADDRESS.match(value) if isinstance(value, str) else None
    if found is None:
        return value
    if found["scheme"].lower() != "file":
        raise ValueError(f"{found['scheme']}:// is no place for it: give {instead}")
    if not FILE.match(str(value)):
        raise ValueError("file:// stands before a whole path: give file:///folder, or the path alone")
    return f"/{found['rest']}"


def address_or_path(value: object) -> object:
    """Return an address in an object store as `s3://bucket/path`, a local path as `local_path` does.

    Raises:
        ValueError: it is no such address, or names no folder of its bucket; what stands there is not repeated.
    """
    found = ADDRESS.match(value) if isinstance(value, str) else None
    if not isinstance(value, str) or found is None or found["scheme"].lower() not in STORES:
        return _path(value, "a local path, one on a disk that all machines see, or s3://bucket/path")
    below = value.partition("://")[2].rstrip("/")
    if not BUCKET_AND_PATH.fullmatch(value) or {"", ".", ".."} & set(below.split("/")):
        raise ValueError("an address in an object store reads s3://bucket/path; give no credentials in it")
    return f"s3://{below}"


def place(value: object) -> object:
    """Return an address as text and a local path as a `Path`. Raises as `address_or_path` does."""
    found = address_or_path(value)
    return Path(found) if isinstance(found, str) and not found.startswith("s3://") else found


# Where a table lies, as text: a local path, or an address in an object store.
TablePlace = Annotated[str, BeforeValidator(address_or_path)]
LocalPath = Annotated[Path, BeforeValidator(local_path)]
# A local path, or an address in an object store.
Place = Annotated[Path | str, BeforeValidator(place)]


class Section(BaseModel):
    """A frozen, typed part of the configuration that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    def content_hash(self) -> str:
        """Return the `short_hash` of the section's canonical JSON."""
        text = json.dumps(self.model_dump(mode="json"), sort_keys=True)
        return short_hash(text)


SectionT = TypeVar("SectionT", bound=Section)


def load(path: str | Path, kind: type[SectionT], overrides: Sequence[str] = ()) -> SectionT:
    """Read `path` as a `kind`.

    A value that ends in `.yaml` under a top-level key is replaced by that file's content, looked for beside
    `path`. Overrides are `dotted.key=value` (value in YAML); an override may also name another file.

    Raises:
        ConfigError: the file is missing or no mapping, a key is unknown, a value has the wrong type.
    """
    origin = Path(path)
    tree = _read(origin)
    files: dict[Location, str] = {(): str(origin)}
    parsed = [_parse_override(text) for text in overrides]
    for location, value in parsed:
        if len(location) == 1:
            tree[location[0]] = value
            files[location] = COMMAND_LINE
    for key, value in tree.items():
        if isinstance(value, str) and value.endswith(".yaml"):
            target = _find(value, origin)
            tree[key] = _read(target)
            files[(key,)] = str(target)
    for location, value in parsed:
        if len(location) > 1:
            if location[0] not in tree:
                files[location[:1]] = COMMAND_LINE
            _set(tree, location, value)
            files[location] = COMMAND_LINE
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(_explain(error, kind, files, tree)) from None


class _EachKeyOnce(yaml.SafeLoader):
    """Reads YAML; refuses a key that is there twice, of which the first would be lost, and a day that there is not."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for position, (key, _) in enumerate(node.value):
            if key.value in keys[:position] and isinstance(key, yaml.ScalarNode):
                raise yaml.MarkedYAMLError(problem=f"the key '{key.value}' is there twice", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)

    def construct_yaml_timestamp(self, node: yaml.ScalarNode) -> Any:
        try:
            return super().construct_yaml_timestamp(node)
        except ValueError:
            said = f"'{node.value}' is no day or time: {why_no_day(node.value)}"
            raise yaml.MarkedYAMLError(problem=said, problem_mark=node.start_mark) from None


_EachKeyOnce.add_constructor("tag:yaml.org,2002:timestamp", _EachKeyOnce.construct_yaml_timestamp)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        beside = [str(path.parent / other.name) for other in path.parent.glob("*.yaml")]
        there = suggestion(str(path), beside) if beside else "the shipped ones are in conf/"
        raise ConfigError(f"configuration file {path} {'is a folder' if path.is_dir() else 'does not exist'}; {there}")
    try:
        content = yaml.load(path.read_bytes().decode(), _EachKeyOnce)  # noqa: S506 - a safe one
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is no UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except RecursionError:
        raise ConfigError(f"{path} is nested too deeply for a configuration; take brackets out") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is no valid YAML: {_yaml_fault(error)}; mend it there") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path} must hold a mapping of keys to values")
    return content


def _yaml_fault(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
    what = getattr(error, "problem", None) or getattr(error, "reason", None) or "it cannot be read"
    return f"{where}{what}"


def _find(name: str, origin: Path) -> Path:
    beside = origin.parent / name
    # As commands name it in the clone, whose `conf` a command may read from any folder.
    places = (beside, Path(name), origin.parent.parent / name)
    known = [place for place in places if place.is_file()] or [place for place in places if place.parent.is_dir()]
    return known[0] if known else beside


def _parse_override(text: str) -> tuple[Location, Any]:
    key, separator, value = text.partition("=")
    if not separator or not key:
        raise ConfigError(f"'{text}' is no override: write key=value, for example training.batch_size=1024")
    try:
        return tuple(key.split(".")), yaml.safe_load(value)
    except (yaml.YAMLError, RecursionError):
        raise ConfigError(
            f"override {key}: '{value}' is no YAML value; put it in quotes or close its brackets"
        ) from None
    except ValueError:
        raise ConfigError(f"override {key}: '{value}' is no day or time: {why_no_day(value)}") from None


def _set(tree: dict[str, Any], location: Location, value: Any) -> None:
    node = tree
    for name in location[:-1]:
        node = node.setdefault(name, {})
        if not isinstance(node, dict):
            raise ConfigError(f"override {'.'.join(location)}: '{name}' holds no keys")
    node[location[-1]] = value


def _written(location: Location, tree: Mapping[str, Any]) -> Location:
    """Return `location` as written, without the kind that pydantic puts between a key of several kinds and its own."""
    node: Any = tree
    written = []
    for part in location[:-1]:
        if not isinstance(node, Mapping) or part in node:
            written.append(part)
            node = node.get(part) if isinstance(node, Mapping) else None
    return (*written, *location[-1:])


def _explain(
    error: ValidationError, kind: type[Section], files: Mapping[Location, str], tree: Mapping[str, Any]
) -> str:
    problems = []
    for item in error.errors():
        location = _written(tuple(str(part) for part in item["loc"]), tree)
        prefixes = [location[:length] for length in range(len(location), -1, -1)]
        file = next(files[prefix] for prefix in prefixes if prefix in files)
        what = item["msg"].removeprefix("Value error, ")
        if item["type"] == "extra_forbidden":
            what = f"unknown key; {suggestion(location[-1], keys_at(kind, location[:-1]))}"
        values = QUOTED.findall(str(item.get("ctx", {}).get(EXPECTED.get(item["type"], ""), "")))
        if values:
            given = item["ctx"].get("tag", item["input"])
            what = f"'{given}' is none of its values; {suggestion(str(given), values)}"
        name = ".".join(location)
        problems.append(f"{file}: '{name}': {what}" if name else f"{file}: {what}")
    return "; ".join(problems)
