"""A job, jobs/build_features.py unless another is named, as a user starts it: spark-submit in a process group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.paths import ROOT
from tests.waiting import wait_until

LIMIT_S = 900


class Job:
    """A running job; its output goes to files, so that it never waits for a reader."""

    def __init__(
        self, folder: Path, config: Path, *arguments: str, name: str = "build_features", memory: str = "1g"
    ) -> None:
        folder.mkdir(parents=True)
        self.out, self.err = folder / "stdout", folder / "stderr"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        submit = ["spark-submit", "--properties-file", "conf/spark/local.conf", "--driver-memory", memory]
        with self.out.open("w") as out, self.err.open("w") as err:
            self.process = subprocess.Popen(
                [*submit, f"jobs/{name}.py", "--config", str(config), *arguments],
                cwd=ROOT,
                env=os.environ | {"PATH": path, "PYSPARK_PYTHON": sys.executable},
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    def until(self, holds: Callable[[], object]) -> None:
        """Wait until `holds()`; it is an error when the job ends before."""

        def holds_while_running() -> object:
            found = holds()
            assert found or self.process.poll() is None, self.said()
            return found

        wait_until(holds_while_running, LIMIT_S, self.said)

    def has_printed(self, text: str) -> bool:
        return text in self.out.read_text()

    def signal(self, number: signal.Signals) -> None:
        os.killpg(self.process.pid, number)

    def kill(self) -> None:
        self.signal(signal.SIGKILL)
        self.process.wait(timeout=60)

    def code(self) -> int:
        return self.process.wait(timeout=LIMIT_S)

    def errors(self) -> list[str]:
        # spark-submit shows what its Python says on either stream on its own stdout.
        return [line for line in self.out.read_text().splitlines() if line.startswith("error: ")]

    def said(self) -> str:
        return self.out.read_text()[-4000:] + self.err.read_text()[-4000:]
