"""Ends of a job: one line that says what was wrong or who ended it, and an exit code that says which.

Exit codes: 0, `EXPLAINED` or the code of a kind of error after a message, 128 and the number of the signal (130 for
Ctrl-C, 143 for SIGTERM). A traceback, with Python's code 1, is left for what is a fault of the project.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shlex
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import FrameType
from typing import IO, NoReturn

from camoe.contracts.errors import CamoeError
from camoe.contracts.shown.commands import BY_NAME, SUBMIT
from camoe.contracts.shown.printable import printable
from camoe.contracts.shown.redaction import redacted, redacted_override

# The exit code of a job that has said what is wrong.
EXPLAINED = 2
# What a job that is asked to end may take to release what it holds.
RELEASE_S = 10
PR_SET_PDEATHSIG = 1
# Errors of the system that whoever runs the job can mend.
SYSTEM_REMEDIES = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EFBIG: "allow larger files there",
    errno.EROFS: "choose a folder that can be written to",
    errno.EACCES: "give this account the right to it, or choose another folder",
    errno.EPERM: "give this account the right to it, or choose another folder",
    errno.EISDIR: "a file is meant there: remove or rename the folder",
    errno.ENOTDIR: "a folder is meant there: remove or rename the file",
    errno.ELOOP: "mend the links there, which lead in a circle",
    errno.ENAMETOOLONG: "choose shorter names",
    errno.EIO: "look after the disk",
    errno.ESTALE: "look after the shared disk",
    errno.EMFILE: "allow more open files (ulimit -n)",
    errno.ENOMEM: "give the job more memory",
}
# What a driver below Spark writes to when Spark is gone.
_java_stderr: list[int] = []
_java = os.getppid()
# The command to go on with.
_again: list[str] = []
# The signal that asked this job to end.
_received: list[int] = []


class Ended(BaseException):
    """A signal that asks the job to end; no handler of errors may stop it."""


class LostSparkError(CamoeError):
    """Spark has ended below the job, as when its process was asked to."""


def exit_with(main: Callable[[list[str]], None], go_on: str = "") -> NoReturn:
    """Run a job's main over the command line and exit as this file says; `go_on` is added to the command to go on with.

    A driver that spark-submit started ends with it.
    """
    if "PYSPARK_GATEWAY_PORT" in os.environ:
        _below_spark()
    _again.append(_command(go_on))
    before = {number: signal.signal(number, _end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        code = _run(main)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _again.clear()
    sys.exit(code)


def heed_signals() -> None:
    """Take signals back, where this job runs under `exit_with`, from a library that has taken them."""
    if signal.getsignal(signal.SIGTERM) is _end:
        signal.signal(signal.SIGINT, _end)


def _below_spark() -> None:
    """End with the Java process that started this driver, and keep its stderr: what is printed here goes through it."""
    with suppress(OSError):
        _java_stderr.append(os.open(f"/proc/{_java}/fd/2", os.O_WRONLY | os.O_APPEND))
    end_with(_java)


def end_with(parent: int) -> None:
    """Have the system send this process SIGTERM when `parent`, the process that started it, is gone."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # It was gone before.
        os.kill(os.getpid(), signal.SIGTERM)


def _end_below(parent: int) -> None:
    """Do as `end_with` before another program is run in this process."""
    # A handler of the parent's would only take note of the signal, and the note goes with the parent's program.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    end_with(parent)


@contextmanager
def below(
    command: Sequence[str], environment: Mapping[str, str], *, stdout: int | None = None, stderr: int | IO[str] | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start `command` and yield its process; wait for its end when the block ends.

    It gets SIGTERM when the block fails, and when this process is gone. The system tells it of the latter when the
    *thread* that started it ends, so that has to be the main one.
    """
    ending = partial(_end_below, os.getpid())
    with subprocess.Popen(command, stdout=stdout, stderr=stderr, env=environment, preexec_fn=ending) as process:  # noqa: PLW1509 - it takes no lock
        try:
            yield process
        except BaseException:
            process.terminate()
            raise


def run_below(command: Sequence[str], stderr: IO[str], environment: Mapping[str, str]) -> int:
    """Run `command`, which is asked to end when this process ends; return its exit code."""
    with below(command, environment, stderr=stderr) as process:
        return process.wait()


def _run(main: Callable[[list[str]], None]) -> int:
    try:
        main(sys.argv[1:])
    except (Ended, Exception) as error:
        # What is released while the job ends may fail, as Spark is ending, too.
        if _received:
            return _told(_ended(_received[0]), 128 + _received[0])
        if isinstance(error, LostSparkError):
            return _told(f"{error}; go on with: {_again[0]}", 128 + signal.SIGTERM)
        if isinstance(error, CamoeError):
            return _told(str(error), error.code)
        if isinstance(error, OSError) and error.errno in SYSTEM_REMEDIES:
            where = f"{error.filename}: " if error.filename else ""
            return _told(f"{where}{error.strerror}; {SYSTEM_REMEDIES[error.errno]}, then: {_again[0]}", EXPLAINED)
        raise
    return 0


def _end(number: int, _frame: FrameType | None) -> None:
    """Raise `Ended` where the job is, and end it in any case once it has had its time."""
    _received.append(number)
    for other in (signal.SIGINT, signal.SIGTERM):
        signal.signal(other, signal.SIG_IGN)
    last = threading.Timer(RELEASE_S, _leave, (number,))
    last.daemon = True
    last.start()
    raise Ended


def _leave(number: int) -> None:
    _told(_ended(number), 0)
    os._exit(128 + number)


def _ended(number: int) -> str:
    return f"ended by {signal.Signals(number).name}; what was not finished counts for nothing; go on with: {_again[0]}"


def _told(message: str, code: int) -> int:
    line = f"error: {printable(redacted(message))}"
    # A Java that is asked to end, too, may pass on nothing more.
    if _java_stderr and (not EXPLAINED <= code < 128 or os.getppid() != _java):
        os.write(_java_stderr[0], f"{line}\n".encode())
        # Python flushes both when it ends, into pipes that nobody reads any more.
        for stream in (sys.stdout, sys.stderr):
            os.dup2(_java_stderr[0], stream.fileno())
    else:
        print(line, file=sys.stderr, flush=True)
    return code


def _command(go_on: str) -> str:
    """Return the command line of this job, without secrets, with `go_on`."""
    options = [option for option in go_on.split() if option not in sys.argv]
    given = shlex.join([*map(redacted_override, sys.argv[1:]), *options])
    if BY_NAME in os.environ:
        return f"camoe {os.environ[BY_NAME]} {given}".rstrip()
    by = SUBMIT if "PYSPARK_GATEWAY_PORT" in os.environ else "python"
    return f"{by} {shlex.quote(redacted_override(sys.argv[0]))} {given}".rstrip()
