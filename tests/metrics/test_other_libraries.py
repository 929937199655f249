"""Calibration errors are those of libraries made for them: netcal and relplot, in an environment of their own."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
from pathlib import Path

import numpy as np
import pytest

from bench.processes import TOOLS, interpreter_of
from camoe.metrics.calibration import expected_calibration_error
from camoe.metrics.histogram import Histogram

pytestmark = pytest.mark.slow

BINS = 20
ASKED = f"""
import json, sys
import numpy as np, relplot
from netcal.metrics import ECE
given = np.load(sys.argv[1])
y = given["y"]
print(json.dumps([
    (ECE(bins={BINS}, equal_intervals=False).measure(p, y), relplot.smECE(p, y)) for p in given["p"]
]))
"""


@pytest.fixture(scope="module")
def interpreter():
    if not (TOOLS / "bin/uv").exists():
        pytest.skip("needs the installer that make test sets up: .tools/bin/uv")
    torch = f"torch=={importlib.metadata.version('torch')}"
    return interpreter_of("calibration", [("netcal==1.4.0", "relplot==1.0.3", torch)])


def asked(interpreter: Path, file: Path) -> list[list[float]]:
    """What netcal and relplot find for each row of predictions in `file`."""
    told = subprocess.run([interpreter, "-c", ASKED, file], check=True, capture_output=True, text=True).stdout
    found: list[list[float]] = json.loads(told.splitlines()[-1])
    return found


def test_netcal_finds_the_same_error_and_relplot_a_smooth_one_that_agrees(interpreter, tmp_path):
    draw = np.random.default_rng(3)
    logits = draw.normal(-3, 1.2, 50_000)
    y = (draw.random(50_000) < 1 / (1 + np.exp(-logits))).astype(int)
    # Right, half as likely again, sharper than the truth, and one that knows too little.
    p = 1 / (1 + np.exp(-np.stack([logits, logits + 0.5, 2 * logits + 3, 0.3 * logits - 2])))
    np.savez(tmp_path / "rows.npz", p=p, y=y)
    ours = [float(expected_calibration_error(Histogram.from_rows(row, y).bins(), BINS)) for row in p]
    binned, smooth = zip(*asked(interpreter, tmp_path / "rows.npz"), strict=True)
    # Rows of one 400th of a logit stay together here.
    assert np.allclose(ours, binned, atol=3e-4)
    # Where all are predicted too high; errors of both signs blur into each other under its kernel.
    assert smooth[1] == pytest.approx(ours[1], abs=0.001)
    assert all(one / 2 <= other <= one + 0.002 for one, other in zip(ours, smooth, strict=True))
    assert ours[0] < 0.005 < 0.03 < min(ours[1:])
