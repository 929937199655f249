"""How wide the terminal is that shows what a job prints."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.terminals import at_terminal

ASK = "from camoe.contracts.shown.terminal import console, terminal_columns; print(terminal_columns(), console().width)"
# As spark-submit: the process above has the terminal, and passes on what this one prints.
THROUGH_A_PIPE = """
import os, subprocess, sys
said = subprocess.run([sys.executable, "-c", sys.argv[1]], stdout=subprocess.PIPE, text=True, check=True).stdout
print(said, end="")
"""


@pytest.mark.parametrize("columns", [80, 133])
def test_a_table_is_as_wide_as_the_terminal(columns):
    assert at_terminal(ASK, columns).split() == [str(columns)] * 2


@pytest.mark.parametrize(("gateway", "expected"), [("1", ["93", "93"]), (None, ["None", "120"])])
def test_below_spark_submit_the_terminal_is_that_of_the_process_above(monkeypatch, gateway, expected):
    if gateway:
        monkeypatch.setenv("PYSPARK_GATEWAY_PORT", gateway)
    assert at_terminal(THROUGH_A_PIPE, 93, [ASK]).split() == expected


@pytest.mark.parametrize("gateway", ["1", None])
def test_where_there_is_no_terminal_lines_have_room(monkeypatch, gateway):
    if gateway:
        monkeypatch.setenv("PYSPARK_GATEWAY_PORT", gateway)
    said = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, check=True).stdout
    assert said.split() == ["None", "120"]
