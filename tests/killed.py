"""Work that is killed at its first, second, ... operation on the disk, until it gets through."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from itertools import count

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
