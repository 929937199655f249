"""Worker processes that a benchmark holds side by side, each in an environment of its own."""

from __future__ import annotations

import json
import resource
import selectors
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ROOT / ".tools"


class TimeLimitError(Exception):
    """A worker did not answer in time."""


def interpreter_of(name: str, installs: Sequence[Sequence[str]]) -> Path:
    """Return the interpreter of the environment `name` under .tools, made first where it is missing or other.

    Args:
        name: the environment's folder is .tools/bench-NAME.
        installs: arguments of one `uv pip install` each, in order.

    Raises:
        subprocess.CalledProcessError: a package cannot be installed; `stderr` says why.
    """
    home = TOOLS / f"bench-{name}"
    interpreter, ready, uv = home / "bin/python", home / ".ready", TOOLS / "bin/uv"
    wanted = "\n".join(" ".join(packages) for packages in installs)
    if not ready.exists() or ready.read_text() != wanted:
        _done([uv, "venv", "-q", "--clear", "--python", "3.11", home])
        for packages in installs:
            _done([uv, "pip", "install", "-q", "--python", interpreter, *packages])
        ready.write_text(wanted)
    return interpreter


def children_s() -> float:
    """Return the processor seconds of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _done(command: Sequence[str | Path]) -> None:
    subprocess.run(command, check=True, capture_output=True, text=True)


class Worker:
    """A running process that answers each line of its standard input by one line of JSON; leaves no process behind."""

    def __init__(
        self, command: Sequence[str | Path], environment: Mapping[str, str], log: Path, limit_s: float
    ) -> None:
        """Start it and wait until it says that it is ready. Raises as `tell` does."""
        self.limit_s = limit_s
        self._log = log.open("w")
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True, env=environment
        )
        self._reply()

    def tell(self, command: str) -> dict[str, Any]:
        """Send one command and wait for its answer.

        Raises:
            TimeLimitError: it took longer than `limit_s`; the worker is gone.
            RuntimeError: the worker stopped; the message ends with its last words.
        """
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
                    self.close()
                    said = Path(self._log.name).read_text().strip().splitlines()
                    raise RuntimeError(f"the worker stopped: {said[-1] if said else 'it said nothing'}")
                if line.startswith("{"):
                    return dict(json.loads(line))

    def close(self) -> None:
        """End the worker."""
        self._process.terminate()
        self._process.wait()
        self._log.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
