"""The packed environment: a Python of its own with the locked packages, wherever it is unpacked."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from camoe.contracts.snapshot import pin
from tests.jobs.clusters.uses import package
from tests.jobs.commands import run
from tests.score.pipeline import write_scorable
from tests.tools.packed import packed_home
from tools.pack_environment import left_out

# Prints the files from which its code comes, the libraries among them.
FILES = """
import sys
for name in sys.argv[1:]:
    __import__(name)
print(*{module.__file__ for module in sys.modules.values() if getattr(module, "__file__", None)}, sep="\\n")
print(*{line.split(None, 5)[5].strip() for line in open("/proc/self/maps") if ".so" in line}, sep="\\n")
"""
PACKAGES = ("pyarrow", "pandas", "onnxruntime", "onnx", "deltalake", "obstore", "pydantic", "scipy", "pyspark", "ssl")
OF_THE_SYSTEM = ("/lib", "/usr/lib")


@pytest.mark.parametrize(
    ("name", "out"),
    [
        ("lib/python3.11/os.py", False),
        ("lib/python3.11/test/test_os.py", True),
        ("lib/python3.11/site-packages/numpy/testing/__init__.py", False),
        ("lib/python3.11/site-packages/pandas/tests/test_x.py", True),
        ("lib/python3.11/site-packages/pyspark/jars", True),
        ("lib/python3.11/site-packages/pyspark/python/lib/pyspark.zip", False),
        ("lib/python3.11/__pycache__/os.cpython-311.pyc", True),
        ("lib/python3.11/site-packages/torch/lib/libtorch_cpu.so", False),
    ],
)
def test_what_nothing_needs_that_runs_is_left_out(name, out):
    assert left_out(name) == out


@pytest.fixture(scope="module")
def home(tmp_path_factory, worker_id):
    return packed_home(tmp_path_factory, worker_id)


@pytest.mark.slow
def test_it_runs_from_any_folder_with_nothing_of_the_machines_python(home, tmp_path):
    run = subprocess.run(
        [home / "bin/python", "-c", FILES, *PACKAGES],
        capture_output=True, text=True, check=True, cwd=tmp_path, env={"PATH": "/usr/bin:/bin"},
    )  # fmt: skip
    loaded = {Path(line).resolve() for line in run.stdout.splitlines()}
    assert home.resolve() / "lib/python3.11/site-packages/pyarrow/__init__.py" in loaded
    elsewhere = [path for path in loaded if home.resolve() not in path.parents]
    assert not [path for path in elsewhere if not str(path).startswith(OF_THE_SYSTEM)]
    assert str(Path(sys.base_prefix)) not in run.stdout or sys.base_prefix == "/usr"


@pytest.mark.slow
@pytest.mark.spark
def test_executors_score_with_it(home, tmp_path):
    pipeline = write_scorable(tmp_path)
    pythons = {"spark.pyspark.python": str(home / "bin/python"), "spark.pyspark.driver.python": sys.executable}
    given = [part for key, value in pythons.items() for part in ("--conf", f"{key}={value}")]
    run(
        ["env", "-u", "PYSPARK_PYTHON", "spark-submit", "--properties-file", "conf/spark/local.conf", *given,
         "--py-files", str(package(tmp_path)), "jobs/score.py", "--config", str(pipeline.path)]
    )  # fmt: skip
    assert pin(pipeline.config.layout.predictions).rows > 0
