"""A process that ends with the one that starts it, and whose output is read line by line; what workers need set."""

from __future__ import annotations

import os
import select
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import IO

from camoe.config.ending import below

# Defaults that the caller's environment overrides. Horovod's background thread wakes every millisecond otherwise, and
# the allocator gives the step's large buffers back to the system and takes them anew: together half of a step's time.
# An MLflow server that is away is asked again for some seconds, and not for minutes in which the others wait.
WORKER_ENVIRONMENT = {
    "HOROVOD_CYCLE_TIME": "3",
    "MALLOC_MMAP_THRESHOLD_": "1073741824",
    "MALLOC_TRIM_THRESHOLD_": "1073741824",
    "MALLOC_TOP_PAD_": "67108864",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
}
# What is told to workers on other machines. What else the environment there holds, paths above all, is its own.
CARRIED = ("AWS_", "CAMOE_", "CUDA_", "GLOO_", "HOROVOD_", "MALLOC_", "MKL_", "MLFLOW_", "NCCL_", "OMP_", "TORCH_")


def carried(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of `environment` that workers on other machines need."""
    return {name: value for name, value in environment.items() if name.startswith(CARRIED)}


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str]
) -> Iterator[tuple[subprocess.Popen[bytes], IO[bytes]]]:
    """Start `command` as `below` does and yield it with its output, stderr's too."""
    with below(command, environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        assert process.stdout is not None
        yield process, process.stdout


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
