"""The workers of one training run: Horovod, and the few exchanges that training needs."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TypeVar

import horovod.torch as hvd
import torch
from torch import Tensor, nn

from camoe.contracts.errors import TrainingError
from camoe.stream.planning.world import World
from camoe.train.distributed.cores import usable_cores

ValueT = TypeVar("ValueT")
# Gloo gives up an exchange after 30 s, and takes the wrong worker down: the one that waited. The watchdog ends a wait.
GLOO_TIMEOUT = {"HOROVOD_GLOO_TIMEOUT_SECONDS": str(24 * 3600)}


@dataclass(frozen=True)
class Workers:
    """This worker's place among all, and the device it computes on."""

    world: World
    device: torch.device

    @property
    def leads(self) -> bool:
        """True on the worker that writes and reports."""
        return self.world.rank == 0


def join_workers() -> Workers:
    """Start Horovod, take this worker's GPU if the machine has one, and its share of the processor cores.

    OMP_NUM_THREADS, where it is set, is the number of its threads.

    Raises:
        TrainingError: this host does not know its own name, of which Horovod would die.
    """
    _require_own_name()
    os.environ.update(GLOO_TIMEOUT | os.environ)
    hvd.init()
    if "OMP_NUM_THREADS" not in os.environ:  # Torch takes it when it is loaded.
        torch.set_num_threads(max(1, usable_cores() // hvd.local_size()))
    device = _own_device(hvd.local_rank())
    return Workers(World(hvd.rank(), hvd.size()), device)


def _require_own_name() -> None:
    name = socket.gethostname()
    try:
        addresses = sorted({str(found[4][0]) for found in socket.getaddrinfo(name, None)})
    except OSError:
        raise TrainingError(
            f"the name of this host, {name}, has no address, and Horovod needs one: add the line '127.0.0.1 {name}' to "
            f"/etc/hosts (for a container: docker run --add-host {name}:127.0.0.1)"
        ) from None
    # Where Horovod's launcher listens, by hand none does.
    met_at = os.environ.get("HOROVOD_GLOO_RENDEZVOUS_ADDR", "127.0.0.1")
    if not _is_loopback(met_at) and all(map(_is_loopback, addresses)):
        raise TrainingError(
            f"the name of this host, {name}, is {addresses[0]} here, where Horovod on the other hosts cannot reach it: "
            f"give the name its address in the network in /etc/hosts (Debian's 127.0.1.1 is such a line)"
        )


def _is_loopback(address: str) -> bool:
    return ip_address(address.partition("%")[0]).is_loopback


def leave_workers() -> None:
    """Stop Horovod, which all workers do together."""
    hvd.shutdown()


def _own_device(local_rank: int) -> torch.device:
    gpus = torch.cuda.device_count()
    return torch.device("cuda", local_rank % gpus) if gpus else torch.device("cpu")


def sum_over_workers(values: Tensor, name: str) -> Tensor:
    """Sum every worker's `values`, on the device of `values`."""
    if hvd.size() == 1:
        return values.clone()
    if values.numel() == 0:  # Horovod would wait for ever.
        return values
    total: Tensor = hvd.allreduce(values.cpu(), op=hvd.Sum, name=name)
    return total.to(values.device)


def gather(value: ValueT, name: str) -> list[ValueT]:
    """Return every worker's `value`, in rank order."""
    values: list[ValueT] = hvd.allgather_object(value, name=name)
    return values


def broadcast(value: ValueT, name: str) -> ValueT:
    """Return rank 0's `value`, on every worker."""
    shared: ValueT = hvd.broadcast_object(value, root_rank=0, name=name)
    return shared


def barrier(name: str) -> None:
    """Wait until every worker has come here."""
    broadcast(None, name)


def broadcast_weights(model: nn.Module) -> None:
    """Give every worker rank 0's weights."""
    hvd.broadcast_parameters(model.state_dict(), root_rank=0)
