"""Keeps what is secret out of what is written and said."""

from __future__ import annotations

import re

# A user's name and password in an address.
CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def without_credentials(text: str) -> str:
    """`text` without the user names and passwords of the addresses in it."""
    return CREDENTIALS.sub("", text)
