"""What the chain says of a stage that fails."""

from __future__ import annotations

import sys

import pytest

from jobs.demo import Stage, StageError, run


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import sys; print('error: no such table', file=sys.stderr); sys.exit(2)", "with code 2: no such table"),
        ("import sys; print('error: shown already'); sys.exit(2)", "with code 2: for the reason above"),
        ("import os; os._exit(50)", "with code 50: it died before it could say why"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "with code -9: it died before it could say why"),
    ],
)
def test_a_failed_stage_is_told_with_its_reason_or_that_it_gave_none(program, reason, tmp_path):
    with pytest.raises(StageError, match=reason) as failure:
        run(Stage("train", (sys.executable, "-c", program)), tmp_path)
    assert str(tmp_path / "train.log") in str(failure.value)
