"""Which hosts answer, as Horovod's launcher reaches them: by ssh without a password."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from camoe.config.pipeline import Config
from camoe.contracts.errors import ConfigError
from camoe.contracts.files import RemotePath
from camoe.train.launch.listeners import on_this_machine

# For how long a host may say nothing.
ANSWER_S = 10
SSH = ("ssh", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no", "-o", f"ConnectTimeout={ANSWER_S}")


def answering(hosts: Iterable[str]) -> frozenset[str]:
    """Return those of `hosts` that are this machine or answer within `2 * ANSWER_S` seconds; all are asked at once."""
    asked = sorted(set(hosts))
    with ThreadPoolExecutor(len(asked)) as pool:
        return frozenset(host for host, answers in zip(asked, pool.map(_answers, asked), strict=True) if answers)


def require_answers(hosts: Iterable[str]) -> None:
    """Raise `ConfigError` unless all `hosts` answer."""
    given = frozenset(hosts)
    gone = sorted(given - answering(given))
    if gone:
        raise ConfigError(
            f"no answer by ssh from {', '.join(gone)}: `ssh {gone[0]} true` has to end well here, without a password"
        )


def require_shared_work(config: Config, hosts: Iterable[str]) -> None:
    """Raise `ConfigError` where workers of several hosts would have no folder that all of them see."""
    if config.work is None and isinstance(config.out, RemotePath) and not on_this_machine(hosts):
        raise ConfigError(
            f"out={config.out} is in an object store, and workers on several hosts watch each other through files: "
            "give work=FOLDER, on a disk that all of them see"
        )


def _answers(host: str) -> bool:
    if on_this_machine([host]):
        return True
    try:
        done = subprocess.run([*SSH, host, "true"], capture_output=True, timeout=2 * ANSWER_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0
