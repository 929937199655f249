"""The stand-ins for what pyarrow no longer has."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow

from camoe.stream.reading.old_arrow import NAMES


def test_petastorm_still_needs_them():
    """When this fails, Petastorm has a release that can do without, or one that wants more of them."""
    done = subprocess.run([sys.executable, "-c", "import petastorm"], capture_output=True, text=True, check=False)
    assert done.stderr.strip().endswith("ModuleNotFoundError: No module named 'pyarrow.filesystem'")


def test_nothing_that_pyarrow_has_is_covered():
    for module in NAMES:
        assert not (Path(pyarrow.__file__).parent / module.partition(".")[2]).with_suffix(".py").exists()
