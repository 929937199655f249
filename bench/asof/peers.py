"""The systems that are compared: an environment for each, and a process that keeps its Spark warm."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
UV = ROOT / ".tools/bin/uv"
COMMON = ["pyspark==4.0.5", "pandas==2.2.*", "setuptools<81"]
# tempo imports IPython and scipy without declaring them.
PACKAGES = {
    "tempo": ["dbl-tempo==0.1.30", "ipython<9", "scipy", "numpy<2", "pyarrow==14.0.2", *COMMON],
    "feast_spark": ["feast==0.67.0", *COMMON],
}


class TimeLimitError(Exception):
    """A system did not answer in time."""


def python_of(system: str) -> Path:
    """The interpreter of a system's environment, made first where it is missing."""
    if system not in PACKAGES:
        return Path(sys.executable)
    home = ROOT / ".tools" / f"bench-{system}"
    interpreter, ready = home / "bin/python", home / ".ready"
    wanted = "\n".join(PACKAGES[system])
    if not ready.exists() or ready.read_text() != wanted:
        subprocess.run([UV, "venv", "-q", "--clear", "--python", "3.11", home], check=True)
        subprocess.run([UV, "pip", "install", "-q", "--python", interpreter, *PACKAGES[system]], check=True)
        ready.write_text(wanted)
    return interpreter


class System:
    """A running worker of one system; leaves no process behind."""

    def __init__(self, name: str, folder: Path, config: dict[str, Any], log: Path, limit_s: float) -> None:
        interpreter = python_of(name)
        environment = {**os.environ, "PYSPARK_PYTHON": str(interpreter), "FEAST_USAGE": "False"}
        environment["PYTHONPATH"] = str(ROOT) if name not in PACKAGES else ""
        command = [interpreter, Path(__file__).with_name("worker.py"), name, folder, json.dumps(config)]
        self.limit_s = limit_s
        self._log = log.open("w")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment
        )
        self._reply()

    def tell(self, command: str) -> dict[str, Any]:
        """Send one command and wait for its answer. Raises `TimeLimitError`, after which the worker is gone."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return self._reply()

    def _reply(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as waiting:
            waiting.register(self._process.stdout, selectors.EVENT_READ)
            while True:
                if not waiting.select(self.limit_s):
                    self.close()
                    raise TimeLimitError(f"no answer within {self.limit_s:g} s")
                line = self._process.stdout.readline()
                if not line:
                    raise RuntimeError(f"the worker stopped; see {self._log.name}")
                if line.startswith("{"):
                    return dict(json.loads(line))

    def close(self) -> None:
        """End the worker."""
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def __enter__(self) -> System:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
