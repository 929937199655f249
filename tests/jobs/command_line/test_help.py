"""--help of every job: it comes at once, since nothing heavy is imported before the command line is understood."""

from __future__ import annotations

import json
import sys

from tests.jobs.commands import run

# Each takes a good part of a second or more.
HEAVY = ("torch", "pyspark", "pandas", "scipy", "matplotlib", "horovod", "petastorm", "onnxruntime")
ASK = f"""
import contextlib, io, json, pathlib, runpy, sys
told = {{}}
for job in map(str, sorted(pathlib.Path("jobs").glob("*.py"))):
    sys.argv, said = [job, "--help"], io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.suppress(SystemExit):
        runpy.run_path(job, run_name="__main__")
    told[job] = [said.getvalue(), [name for name in {HEAVY} if name in sys.modules]]
print(json.dumps(told))
"""


def test_help_loads_nothing_heavy_and_names_the_page_of_the_keys():
    told = json.loads(run([sys.executable, "-c", ASK]))
    assert len(told) > 7
    assert {job: loaded for job, (_, loaded) in told.items() if loaded} == {}
    assert [job for job, (said, _) in told.items() if "docs/configuration.md" not in said] == []
