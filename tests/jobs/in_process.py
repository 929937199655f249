"""Jobs run in the process of the tests, where no process of their own is what is proved."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from camoe.config.ending import exit_with


def run_main(main: Callable[[list[str]], None], config: Path, *arguments: str) -> int:
    """Run a job's `main` over a command line as its script would; returns its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["job.py", "--config", str(config), *arguments])
        with pytest.raises(SystemExit) as stopped:
            exit_with(main)
    return int(stopped.value.code or 0)
