"""The attempts of a training run: the hosts of its workers, and starting again when some are lost."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby

from camoe.contracts.errors import ConfigError, TrainingError

THIS_MACHINE = "localhost"
HOST = re.compile(r"(?P<name>\w[\w.-]*):(?P<slots>[1-9]\d*)")


def hosts_of_workers(hosts: str | None, workers: int) -> tuple[str, ...]:
    """Return each worker's host by rank: `host1:slots,host2:slots` are filled in that order; None is this machine.

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


def horovod_hosts(slots: Sequence[str]) -> str:
    """Write `slots`, a host a worker, as Horovod's launcher takes them: it gives out ranks in their order."""
    return ",".join(f"{host}:{len(list(same))}" for host, same in groupby(slots))


def without_lost(slots: Sequence[str], lost: frozenset[int]) -> tuple[str, ...]:
    """Return the hosts of the workers left when those of ranks `lost` are gone; of the first one if none is."""
    return tuple(host for rank, host in enumerate(slots) if rank not in lost) or tuple(slots[:1])


def describe_workers(slots: Sequence[str]) -> str:
    """Say how many workers there are, and where if not all on this machine."""
    number = "1 worker" if len(slots) == 1 else f"{len(slots)} workers"
    return number if set(slots) == {THIS_MACHINE} else f"{number} on {horovod_hosts(slots)}"


class LostWorkersError(TrainingError):
    """Workers died or hung: nothing says that they would again. `lost` are their ranks."""

    def __init__(self, message: str, lost: frozenset[int]) -> None:
        super().__init__(message)
        self.lost = lost


def with_retries(
    attempt: Callable[[int, Sequence[str]], None],
    slots: Sequence[str],
    retries: int,
    answering: Callable[[Iterable[str]], frozenset[str]],
) -> None:
    """Call `attempt(number, slots)`, from number 1, and again up to `retries` times when workers were lost.

    `slots` has the host of each worker. Each new attempt has those on hosts that are among `answering(hosts)`; where
    all are, those of the workers that are left; and one at least. Who waits for a host that is gone may be taken for
    lost, so hosts are asked first. Errors that a worker explained are not tried again: they would come back.
    """
    for number in range(1, retries + 2):
        try:
            attempt(number, slots)
        except LostWorkersError as error:
            if number > retries:
                raise
            there = answering(slots)
            left = tuple(host for host in slots if host in there)
            gone = sorted(set(slots) - there)
            if gone:
                print(f"train: no answer by ssh from {', '.join(gone)}", flush=True)
            slots = left if gone and left else without_lost(slots, error.lost)
            print(f"train: {error}; attempt {number + 1} of {retries + 1} with {describe_workers(slots)}", flush=True)
        else:
            return
