"""The commands of docs/your-data.md, as they stand there, say what that page shows."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.paths import ROOT

pytestmark = [pytest.mark.spark, pytest.mark.horovod]

PAGE = ROOT / "docs/your-data.md"
BLOCK = re.compile(r"^```sh\n(?P<commands>.*?)^```\n(?:\n```\n(?P<shown>.*?)^```)?", re.DOTALL | re.MULTILINE)
# A run has a name of its own; what a model learns is the processor's in its last digits.
OWN = re.compile(r"run  |train: ")


@pytest.mark.slow
def test_each_command_says_what_the_page_shows(tmp_path):
    for name in ("conf", "docs", "jobs"):
        shutil.copytree(ROOT / name, tmp_path / name)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"PATH": path, "PYSPARK_PYTHON": sys.executable}
    blocks = list(BLOCK.finditer(PAGE.read_text()))
    assert len(blocks) > 5
    for block in blocks:
        shown = (block["shown"] or "").splitlines()
        done = subprocess.run(
            ["bash", "-e", "-c", block["commands"]],
            cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=600, check=False,
        )  # fmt: skip
        said = done.stdout + done.stderr
        assert done.returncode == (2 if block["shown"] and shown[0].startswith("error: ") else 0), said
        missing = [line for line in shown if not OWN.match(line) and line not in said]
        assert not missing, said
