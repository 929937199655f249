"""A process that ends with the one that starts it, and whose output is read line by line."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import IO

from camoe.config.ending import end_with


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Start `command` and yield it with its output, stderr's too; wait for its end when the block ends.

    It gets SIGTERM when the block fails, and when this process is gone. The system tells it of the latter when the
    *thread* that started it ends, so that has to be the main one.
    """
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        preexec_fn=partial(end_with, os.getpid()),  # noqa: PLW1509 - it takes no lock
    ) as process:
        assert process.stdout is not None
        try:
            yield process, process.stdout
        except BaseException:
            process.terminate()
            raise


def lines(output: IO[bytes], poll_s: float) -> Iterator[str | None]:
    """Yield the lines of `output`, without their ends, and None whenever there was nothing for `poll_s` seconds."""
    source, rest = output.fileno(), b""
    while True:
        if not select.select([source], [], [], poll_s)[0]:
            yield None
        elif read := os.read(source, 1 << 16):
            *whole, rest = (rest + read).split(b"\n")
            yield from (line.decode(errors="replace") for line in whole)
        else:
            break
    if rest:
        yield rest.decode(errors="replace")
