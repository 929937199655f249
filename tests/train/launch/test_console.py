"""At a terminal a bar shows how far training is; elsewhere every line stands as it is."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.terminals import at_terminal

LINES = [
    "train: 7 rows",
    "train: epoch 1  step 3,000/14,000  91,000 rows/s  12.5 min left  loss 0.5000  9.1 ms/step  audio 0.5 [40 60]",
    "train: bundle [b] written",
]
SHOW = """
from camoe.train.launch.output import show_rank0
from camoe.train.supervision.messages import StepProgress
now = StepProgress(1, 3000, 14000, 0.5, 91000, 750, "9.1 ms/step  audio 0.5 [40 60]")
with show_rank0() as show:
    for said in ("train: 7 rows", now, "train: bundle [b] written"):
        show(said)
"""


def test_without_a_terminal_lines_are_plain():
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == LINES


@pytest.mark.parametrize("columns", [80, 140])
def test_at_a_terminal_steps_move_a_bar_with_step_speed_and_time_left(columns):
    said = at_terminal(SHOW, columns)
    assert "train: 7 rows" in said and "train: bundle [b] written" in said
    assert "train: epoch 1" not in said
    plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", said)
    (bar,) = {line.strip() for line in re.split(r"[\r\n]+", plain) if "epoch 1" in line}
    assert len(bar) <= columns
    assert bar.startswith("epoch 1  step 3,000/14,000 \u2501")
    assert "91,000 rows/s  12.5 min left" in bar
    assert ("loss 0.5000  9.1 ms/step  audio 0.5 [40 60]" in bar) == (columns == 140)
