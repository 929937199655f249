"""Data that reaches a terminal steers nothing there."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from camoe.contracts.shown.printable import printable
from camoe.contracts.slots import Slot


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain, 音声 é 🎧", "plain, 音声 é 🎧"),
        ("red \x1b[31m", "red \\x1b[31m"),
        ("two\nlines\r\t", "two\\nlines\\r\\t"),
        ("turned \u202egnp", "turned \\u202egnp"),
        ("bell \x07 and \x9b", "bell \\x07 and \\x9b"),
    ],
)
def test_what_would_steer_a_terminal_is_shown_as_what_it_is(text, shown):
    assert printable(text) == shown


def test_a_slot_whose_name_would_steer_a_terminal_is_refused():
    assert Slot(id="s", name="10 $ off 音声", modality="audio").name == "10 $ off 音声"
    with pytest.raises(ValidationError, match=r"the name a\\x1b\[2J holds control characters; take them out"):
        Slot(id="s", name="a\x1b[2J", modality="audio")
