"""Text of the data that is safe on a terminal: what would steer it is shown as what it is."""

from __future__ import annotations

import unicodedata

# Categories of characters that move the cursor, change colours or turn the direction of text.
STEERING = frozenset(("Cc", "Cf", "Zl", "Zp"))


def printable(text: str) -> str:
    """Return `text` in one line, with each control character as its escape, `\\x1b` for example."""
    return "".join(
        _escaped(character) if unicodedata.category(character) in STEERING else character for character in text
    )


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
