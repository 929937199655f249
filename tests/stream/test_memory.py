"""The stream's memory depends on row groups, not on the table."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT
from tests.stream.lake import write_table

ROW_GROUP = 10_000
STREAM_ALL = """
import resource, sys
from pathlib import Path
from camoe.contracts.snapshot import pin
from camoe.stream.plan import make_plan
from tests.stream.reading import blocks

plan = make_plan(pin(Path(sys.argv[1])), seed=1, epoch=0, batch_size=4096, lanes=2)
rows = sum(block.rows for block in blocks(plan))
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def rows_and_peak_kib(table):
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", STREAM_ALL, table],
        capture_output=True, text=True, check=True, cwd=ROOT, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    rows, peak = done.stdout.split()[-2:]
    return int(rows), int(peak)


def test_a_table_twenty_times_as_long_takes_no_more_memory(tmp_path):
    """The long table's packed rows alone are 120 MB; the allowance covers the allocator's slack."""
    short = write_table(tmp_path / "short", [(slot, 0, [ROW_GROUP] * 5) for slot in range(4)])
    long = write_table(tmp_path / "long", [(slot, day, [ROW_GROUP] * 10) for slot in range(4) for day in range(10)])
    short_rows, short_peak = rows_and_peak_kib(short)
    long_rows, long_peak = rows_and_peak_kib(long)
    assert (short_rows, long_rows) == (200_000, 4_000_000)
    assert long_peak - short_peak < 40 * 1024
