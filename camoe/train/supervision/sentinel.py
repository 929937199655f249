"""Ends the process that started it when that one can no longer end itself: stopped, or stuck in native code.

As a program, with the arguments RANK TIMEOUT_S PID ENDING, it reads from standard input the phase of worker RANK,
process PID: a line every few seconds. It takes nothing but the standard library, so that it is there at once and stays
small.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

# Set in the environment of workers whose launcher takes messages: each is a line that begins so, and then is JSON.
MESSAGES = "CAMOE_MESSAGES"
PREFIX = "camoe-message: "
# Share of the timeout for which a process that was stopped itself, with the worker, looks once more.
SECOND_LOOK = 0.1


class Sentinel:
    """A process beside this one, which SIGKILLs it when `say` was not called for `timeout_s` seconds.

    It then names the worker `rank` and what it said last, on stderr and in the file `ending`. It ends with this
    process, or with `close`.
    """

    def __init__(self, rank: int, timeout_s: float, ending: Path) -> None:
        arguments = [str(rank), str(timeout_s), str(os.getpid()), str(ending)]
        # Isolated: neither the environment nor the working folder can make it another program. As text, because this
        # package may lie in an archive.
        source = inspect.getsource(sys.modules[__name__])
        self._process = subprocess.Popen([sys.executable, "-I", "-c", source, *arguments], stdin=subprocess.PIPE)
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()
        os.set_blocking(self._pipe, False)

    def say(self, phase: str) -> None:
        """Tell that this process runs, and is at `phase`.

        Raises:
            OSError: the sentinel is gone, or reads nothing.
        """
        os.write(self._pipe, f"{' '.join(phase.split())}\n".encode())

    def close(self) -> None:
        """End the sentinel."""
        self._process.kill()
        self._process.communicate()

    def stay(self) -> None:
        """Keep watching until this process is gone, whatever becomes of this object."""
        # Python closes its own file when the object goes.
        os.dup(self._pipe)


def end_within(rank: int, timeout_s: float, ending: Path) -> None:
    """Give this process, worker `rank`, `timeout_s` seconds to end from here on; see `Sentinel`."""
    sentinel = Sentinel(rank, timeout_s, ending)
    # A sentinel that is gone already is nothing that a worker should fail for.
    with contextlib.suppress(OSError):
        sentinel.say("ending")
    sentinel.stay()


def watch(rank: int, timeout_s: float, worker: int, ending: Path) -> None:
    """Read until the pipe closes; end `worker` when nothing came for `timeout_s` seconds, then say so."""
    # Whoever interrupts the worker at a terminal means it alone: it ends this process by closing the pipe.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    phase = "its first step"
    source = sys.stdin.fileno()
    while _readable(source, timeout_s) or _readable(source, SECOND_LOOK * timeout_s):
        phases = os.read(source, 1 << 16)
        if not phases:
            return
        phase = phases.decode(errors="replace").splitlines()[-1]
    if os.getppid() != worker:
        return
    # First, as nobody may be reading what is said.
    os.kill(worker, signal.SIGKILL)
    # The fields of `camoe.train.supervision.messages.Stopped`.
    content = json.dumps({"kind": "stopped", "rank": rank, "timeout_s": timeout_s, "phase": phase})
    line = f"{PREFIX}{content}" if MESSAGES in os.environ else f"error: {stopped_reason(rank, timeout_s, phase)}"
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
    # Last, as its disk may be what hangs. What the worker has left there itself came first, and stays.
    with contextlib.suppress(OSError), ending.open("x") as file:
        file.write(content)


def stopped_reason(rank: int, timeout_s: float, phase: str) -> str:
    """Say for people why a sentinel ended worker `rank`."""
    return (
        f"worker {rank} waited more than {timeout_s:g} s at {phase}: it did not run, and was ended; it was stopped, or "
        "stuck in native code"
    )


def _readable(source: int, timeout_s: float) -> bool:
    return bool(select.select([source], [], [], timeout_s)[0])


if __name__ == "__main__":
    watch(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
