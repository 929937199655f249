"""Who can reach Horovod's services, and what it tells of the environment.

Its rendezvous is an HTTP server without a key that answers HEAD for every file of the working directory, and like its
other services it listens on all addresses. It writes its environment into the command lines of its workers, which
every user of the host can list.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from horovod.runner.common.util import env
from horovod.runner.common.util import network as services
from horovod.runner.http import http_server
from horovod.runner.util.network import filter_local_addresses, get_local_intfs

LOOPBACK = "127.0.0.1"
# What workers on other hosts need of the environment; nothing of it is secret.
PASSED_ON = (
    "HOROVOD_|CAMOE_|PYTHON|OMP_|MKL_|MALLOC_|NCCL_|CUDA_|LC_|(PATH|LD_LIBRARY_PATH|LANG|TZ|VIRTUAL_ENV)$"
    "|MLFLOW_(HTTP_REQUEST_MAX_RETRIES|ALLOW_FILE_STORE)$|AWS_(REGION|DEFAULT_REGION|ENDPOINT_URL|ALLOW_HTTP|PROFILE)$"
)


def on_this_machine(hosts: Iterable[str]) -> bool:
    """Return whether all `hosts` are names of this machine."""
    return not filter_local_addresses(sorted(set(hosts)))


def close_services(*, one_machine: bool) -> None:
    """Let Horovod in this process serve no files and tell no secrets; on `one_machine` listen to that one only."""
    handler: Any = http_server.KVStoreHandler
    handler.do_HEAD = handler.do_GET
    # The workers of one machine inherit the environment.
    env.IGNORE_REGEXES.add(".*" if one_machine else f"(?!{PASSED_ON})")
    if one_machine:
        for module in (http_server, services):
            vars(module)["find_port"] = _on_loopback


class OneMachine(set[str]):
    """The loopback's interface, for Horovod inside a local Spark: where it arrives, in a task, services are closed."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        super().__init__(names or get_local_intfs())

    def __reduce__(self) -> tuple[Callable[[list[str]], OneMachine], tuple[list[str]]]:
        """Have whoever reads it close its services first."""
        return _arrived, (sorted(self),)


def _arrived(names: list[str]) -> OneMachine:
    close_services(one_machine=True)
    return OneMachine(names)


def _on_loopback(make: Callable[[tuple[str, int]], Any]) -> tuple[Any, int]:
    """Make a server at a free port of the loopback, in place of Horovod's `find_port`."""
    server = make((LOOPBACK, 0))
    return server, server.server_address[1]
