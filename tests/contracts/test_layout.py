"""Characters of a path that Delta's two writers read differently are found, and no others."""

from __future__ import annotations

from pathlib import Path

import pytest

from camoe.contracts.layout import misread_character


@pytest.mark.parametrize("mark", ["[", "]", "|", "^", "\\", "%", "%20", "`", "\n", "\t", "\x7f"])
def test_a_character_that_spark_and_delta_rs_read_differently_is_named(mark):
    assert misread_character(Path(f"/lake/a{mark}b/out")) == ascii(mark[0])


def test_others_are_not():
    assert misread_character(Path("out/é 日本/{x}*?#+,:$@v0='\"&;!~<>()-_.")) is None
