"""Which host each worker runs on."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

from camoe.contracts.errors import ConfigError

THIS_MACHINE = "localhost"
HOST = re.compile(r"(?P<name>[\w.-]+):(?P<slots>[1-9]\d*)")


def hosts_of_workers(hosts: str | None, workers: int) -> tuple[str, ...]:
    """The host of each worker by rank: `host1:slots,host2:slots` are filled in that order; None is this machine.

    Raises:
        ConfigError: `hosts` reads otherwise, or has fewer slots than there are `workers`.
    """
    if hosts is None:
        return (THIS_MACHINE,) * workers
    found = [HOST.fullmatch(host.strip()) for host in hosts.split(",")]
    slots = [host["name"] for host in found if host for _ in range(int(host["slots"]))]
    if None in found or len(slots) < workers:
        raise ConfigError(
            f"-H {hosts}: give host1:slots,host2:slots with a slot for each of the {workers} workers of -np"
        )
    return tuple(slots[:workers])


def listed(slots: Sequence[str]) -> str:
    """`slots`, a host for each worker, as Horovod's launcher takes them: it gives out ranks in their order."""
    return ",".join(f"{host}:{len(list(same))}" for host, same in groupby(slots))


def without(slots: Sequence[str], lost: frozenset[int]) -> tuple[str, ...]:
    """The hosts of the workers that are left when those of ranks `lost` are gone; of the first one if none is."""
    return tuple(host for rank, host in enumerate(slots) if rank not in lost) or tuple(slots[:1])


def said(slots: Sequence[str]) -> str:
    """How many workers there are, and where if not all on this machine."""
    number = "1 worker" if len(slots) == 1 else f"{len(slots)} workers"
    return number if set(slots) == {THIS_MACHINE} else f"{number} on {listed(slots)}"
