"""Ends the process that started it when that one can no longer end itself: stopped, or stuck in native code.

python sentinel.py RANK TIMEOUT_S PID: reads from standard input what worker RANK, process PID, does: a line every few
seconds. It takes nothing but the standard library, so that it is there at once and stays small.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

# Share of the timeout for which a process that was stopped itself, with the worker, looks once more.
SECOND_LOOK = 0.1


class Sentinel:
    """A process beside this one, which SIGKILLs it when `say` was not called for `timeout_s` seconds.

    It names the worker `rank` and what it said last, then. It ends with this process, or with `close`.
    """

    def __init__(self, rank: int, timeout_s: float) -> None:
        arguments = [str(rank), str(timeout_s), str(os.getpid())]
        # Isolated: neither the environment nor the working folder can make it another program.
        self._process = subprocess.Popen([sys.executable, "-I", str(Path(__file__)), *arguments], stdin=subprocess.PIPE)
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()
        os.set_blocking(self._pipe, False)

    def say(self, doing: str) -> None:
        """This process runs, and does `doing`.

        Raises:
            OSError: the sentinel is gone, or reads nothing.
        """
        os.write(self._pipe, f"{' '.join(doing.split())}\n".encode())

    def close(self) -> None:
        """End the sentinel."""
        self._process.kill()
        self._process.communicate()


def watch(rank: str, timeout_s: float, worker: int) -> None:
    """Read until the pipe closes; end `worker` when nothing came for `timeout_s` seconds."""
    # Whoever interrupts the worker at a terminal means it alone: it ends this process by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    doing = "its first step"
    source = sys.stdin.fileno()
    while _readable(source, timeout_s) or _readable(source, SECOND_LOOK * timeout_s):
        said = os.read(source, 1 << 16)
        if not said:
            return
        doing = said.decode(errors="replace").splitlines()[-1]
    if os.getppid() == worker:
        print(
            f"error: worker {rank} waited more than {timeout_s:g} s at {doing}: it does not run, and was ended; "
            "it was stopped, or is stuck in native code or at a disk",
            file=sys.stderr,
            flush=True,
        )
        os.kill(worker, signal.SIGKILL)


def _readable(source: int, timeout_s: float) -> bool:
    return bool(select.select([source], [], [], timeout_s)[0])


if __name__ == "__main__":
    watch(sys.argv[1], float(sys.argv[2]), int(sys.argv[3]))
