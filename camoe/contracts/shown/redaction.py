"""What is shown or written tells no secret: one rule for messages, commands and configurations."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any

HIDDEN = "***"
# The settings by free names: those of Spark's readers.
FREE = "options"
# Values of the environment that are shorter are no secrets, but words that anything may hold.
SHORTEST_SECRET = 8
SECRET_NAME = re.compile(
    r"pass(word|wd|phrase)|secret|token|credential|signature|(access|account|api|auth|hash|private)[._-]?key"
    r"|(?<![a-z])(sas|sig)(?![a-z])",
    re.IGNORECASE,
)
# A user's name and password in an address, and the values that its query hands over.
USER = re.compile(r"(?<=://)[^/@\s]+@")
QUERY = re.compile(r"(?P<before>://[^\s?'\"]*\?)[^\s'\"]+")
NAMED = re.compile(
    rf"(?P<name>[\w.-]*(?:{SECRET_NAME.pattern})[\w.-]*['\"]?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s,;&}}\])]+)",
    re.IGNORECASE,
)


def redacted(text: str) -> str:
    """Return `text` without secrets: those of addresses, values by telling names, and those of this environment."""
    for secret in _environment_secrets():
        text = text.replace(secret, HIDDEN)
    return NAMED.sub(rf"\g<name>{HIDDEN}", _plain_addresses(text))


def redacted_override(override: str) -> str:
    """Return the `key=value` of a command line without secrets."""
    key, _, value = override.partition("=")
    return f"{key}={HIDDEN}" if value and SECRET_NAME.search(key) else redacted(override)


def redacted_settings(value: Any, name: str = "", *, free: bool = False) -> Any:
    """Return the settings `value`, of plain types, without secrets; `free` are those whose names users choose."""
    if isinstance(value, Mapping):
        return {key: redacted_settings(part, key, free=free or name == FREE) for key, part in value.items()}
    if isinstance(value, list):
        return [redacted_settings(part, name, free=free) for part in value]
    if not isinstance(value, str):
        return value
    if free:
        return HIDDEN if SECRET_NAME.search(name) else redacted(value)
    return _plain_addresses(value)


def _plain_addresses(text: str) -> str:
    return QUERY.sub(rf"\g<before>{HIDDEN}", USER.sub("", text))


def _environment_secrets() -> list[str]:
    """Return the secrets of the environment, the longest first, as one may hold another."""
    found = {value for name, value in os.environ.items() if SECRET_NAME.search(name) or name.endswith("_KEY")}
    return sorted((value for value in found if len(value) >= SHORTEST_SECRET), key=len, reverse=True)
