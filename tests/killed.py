"""Work that is killed at its first, second, ... operation on the disk or request to a store, until it gets through."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count

from tests.object_store import Fault, Proxy
from tests.waiting import wait_until

OPERATIONS = ("open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.listdir", "os.scandir", "shutil.rmtree")


def killed_at_each(work: Callable[[], object], operations: tuple[str, ...] = OPERATIONS) -> Iterator[bool]:
    """Do `work` in a forked process that is killed at the next of its `operations` each time; whether it got through.

    `operations` are audit events of Python.
    """
    for number in count(1):
        code = _in_child(work, number, operations)
        assert code in {0, -signal.SIGKILL}, "it failed by itself"
        yield code == 0
        if code == 0:
            return


def _in_child(work: Callable[[], object], number: int, operations: tuple[str, ...]) -> int:
    child = os.fork()
    if not child:
        code, seen = 1, 0

        def hook(event: str, _arguments: tuple[object, ...]) -> None:
            nonlocal seen
            if event in operations:
                seen += 1
                if seen == number:
                    os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(hook)
            work()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at_each_request(
    store: Proxy, start: Callable[[int], subprocess.Popen[bytes]], part: str = "PUT "
) -> Iterator[bool]:
    """Start a process that is killed at its first, second, ... request to the store; yield whether it got through.

    Those requests count whose line holds `part`. Every other one is done before the process is killed at it.
    """
    for number in count():
        store.begin()
        started: list[subprocess.Popen[bytes]] = []
        store.fault = _with_part(partial(_killing, started, count(), number), part)
        started.append(start(number))
        code = started[0].wait()
        store.begin()
        assert code in {0, -signal.SIGKILL}, "it failed by itself"
        yield code == 0
        if code == 0:
            return


def _with_part(fault: Fault, part: str) -> Fault:
    return lambda line: fault(line) if part in line else None


def _killing(started: list[subprocess.Popen[bytes]], seen: Iterator[int], number: int, _line: str) -> str | None:
    if next(seen) != number:
        return None
    wait_until(lambda: started)
    started[0].kill()
    return "lost" if number % 2 else "403 AccessDenied"
