"""What lies where, and characters of a path that Delta's two writers read differently."""

from __future__ import annotations

from pathlib import Path

import pytest

from camoe.contracts.layout import Layout, misread_character


@pytest.mark.parametrize("mark", ["[", "]", "|", "^", "\\", "%", "%20", "`", "\n", "\t", "\x7f"])
def test_a_character_that_spark_and_delta_rs_read_differently_is_named(mark):
    assert misread_character(Path(f"/lake/a{mark}b/out")) == ascii(mark[0])


def test_others_are_not():
    assert misread_character(Path("out/é 日本/{x}*?#+,:$@v0='\"&;!~<>()-_.")) is None


def test_runs_that_share_a_lake_have_models_and_leases_of_their_own():
    lake, one, other = Layout(Path("lake")), Layout(Path("one"), Path("lake")), Layout(Path("other"), Path("lake"))
    shared = ("raw", "truth", "training", "quarantine", "profiles", "history", "runs", "pins", "encoder")
    assert {getattr(layout, name) for name in shared for layout in (one, other)} == {
        getattr(lake, name) for name in shared
    }
    own = ("bundle", "checkpoints", "predictions", "report", "counts", "logs", "leases")
    assert {getattr(one, name).parent for name in own} == {Path("one")}
    assert one.leases != other.leases
