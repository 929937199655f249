"""At a terminal a bar shows how far training is; elsewhere every line stands as it is."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

LINES = ["train: 7 rows", "train: epoch 1  step 3/4  loss 0.5  9 rows/s", "train: bundle [b] written"]
SHOW = """
from camoe.train.launch.output import show_rank0
from camoe.train.supervision.messages import StepProgress
with show_rank0() as show:
    for said in ("train: 7 rows", StepProgress(1, 3, 4, "loss 0.5  9 rows/s"), "train: bundle [b] written"):
        show(said)
"""


def test_without_a_terminal_lines_are_plain():
    done = subprocess.run([sys.executable, "-c", SHOW], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == LINES


def test_at_a_terminal_steps_move_a_bar():
    ours, theirs = pty.openpty()
    environment = os.environ | {"TERM": "xterm", "COLUMNS": "120"}
    with subprocess.Popen([sys.executable, "-c", SHOW], stdout=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 4096):
                said += part
        except OSError:  # The other end is closed.
            pass
    os.close(ours)
    text = said.decode()
    assert process.returncode == 0
    assert "train: 7 rows" in text and "train: bundle [b] written" in text
    assert "train: epoch 1" not in text
    assert "epoch 1" in text and "loss 0.5  9 rows/s" in text and "\u2501" in text
