"""Training on two hosts: network namespaces of this machine, the second of which is reached by a real sshd."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.paths import ROOT
from tests.train.job import train
from tests.train.pipeline import CONFIG, write_pipeline
from tests.waiting import wait_until

pytestmark = [pytest.mark.horovod, pytest.mark.slow]

SSHD = "/usr/sbin/sshd"
NEEDED = ("ip", "ssh", "ssh-keygen", SSHD)
ROWS = {"s0": 331, "s1": 203, "s2": 7}
# Both ends of the cable have this name: Horovod takes one for all hosts.
INTERFACE = "camoe0"


class Hosts(NamedTuple):
    """Names of the two namespaces, their addresses, and an environment whose ssh reaches the other one."""

    names: tuple[str, str]
    addresses: tuple[str, str]
    environment: dict[str, str]

    def command(self, config: Path, *overrides: str) -> list[str]:
        """The training job on the first host, with a worker on each."""
        hosts = ",".join(f"{address}:1" for address in self.addresses)
        return [
            *within(self.names[0]), sys.executable, str(ROOT / "jobs/train.py"), "-np", "2", "-H", hosts,
            "--network-interfaces", INTERFACE, "--config", str(config), *overrides,
        ]  # fmt: skip

    def cut(self) -> None:
        """Take the cable out."""
        run(*within(self.names[0]), "ip", "link", "set", INTERFACE, "down")

    def lose_power(self) -> None:
        """Take the cable out, and end all that runs on the other host at once."""
        self.cut()
        end_all(self.names[1])


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def within(name: str) -> tuple[str, ...]:
    return ("ip", "netns", "exec", name)


def end_all(name: str) -> None:
    for pid in run("ip", "netns", "pids", name).split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)


@contextmanager
def namespace(name: str, address: str) -> Iterator[None]:
    """Make a host of this name whose own name has `address`, as a host's in a network has; nothing of it is left."""
    own = Path("/etc/netns") / name
    own.mkdir(parents=True)
    (own / "hosts").write_text(f"127.0.0.1 localhost\n{address} {socket.gethostname()}\n")
    run("ip", "netns", "add", name)
    try:
        run(*within(name), "ip", "link", "set", "lo", "up")
        yield
    finally:
        end_all(name)
        run("ip", "netns", "del", name)
        shutil.rmtree(own)


def ssh_between(folder: Path, address: str) -> dict[str, str]:
    """Write keys, the settings of a server at `address`, and a client that knows them; return its environment."""
    for name in ("host", "user"):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / name))
    (folder / "sshd_config").write_text(
        f"ListenAddress {address}\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        "StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin prohibit-password\n"
    )
    Path("/run/sshd").mkdir(exist_ok=True)
    client = folder / "bin/ssh"
    client.parent.mkdir()
    client.write_text(
        f'#!/bin/sh\nexec {shutil.which("ssh")} -q -i {folder}/user -o UserKnownHostsFile=/dev/null "$@"\n'
    )
    client.chmod(0o755)
    return os.environ | {"PATH": f"{client.parent}{os.pathsep}{os.environ['PATH']}"}


@pytest.fixture
def hosts(tmp_path) -> Iterator[Hosts]:
    missing = [name for name in NEEDED if shutil.which(name) is None]
    if os.getuid() or missing:
        pytest.skip(f"needs root, iproute2 and OpenSSH's client and server (missing: {', '.join(missing) or 'root'})")
    names = (f"camoe{os.getpid()}a", f"camoe{os.getpid()}b")
    here, there = (f"10.231.{os.getpid() % 250}.{number}" for number in (1, 2))
    environment = ssh_between(tmp_path, there)
    with namespace(names[0], here), namespace(names[1], there), (tmp_path / "sshd.log").open("wb") as log:
        cable = ("type", "veth", "peer", "name", INTERFACE, "netns", names[1])
        run(*within(names[0]), "ip", "link", "add", INTERFACE, *cable)
        for name, address in zip(names, (here, there), strict=True):
            run(*within(name), "ip", "address", "add", f"{address}/24", "dev", INTERFACE)
            run(*within(name), "ip", "link", "set", INTERFACE, "up")
        server = subprocess.Popen(
            [*within(names[1]), SSHD, "-D", "-e", "-f", str(tmp_path / "sshd_config")], stderr=log
        )
        wait_until(lambda: "Server listening" in (tmp_path / "sshd.log").read_text(), 60)
        yield Hosts(names, (here, there), environment)
        server.kill()
        server.wait()


def pipeline(folder: Path, training: dict[str, object]) -> Path:
    folder.mkdir()
    return write_pipeline(folder, ROWS, training=training)


def losses(out: Path) -> list[list[float]]:
    metrics = json.loads((out / "bundle/metrics.json").read_text())
    return [epoch["losses"] for epoch in metrics["epochs"]]


def test_two_hosts_learn_what_two_workers_of_one_learn_to_the_last_digit(hosts, tmp_path):
    training = CONFIG["training"] | {"epochs": 2, "dtype": "float64"}
    one, two = (pipeline(tmp_path / name, training) for name in ("one", "two"))
    train(one, 2)
    done = subprocess.run(
        hosts.command(two), env=hosts.environment, cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert losses(two.parent / "out") == losses(one.parent / "out")


@pytest.mark.parametrize("fault", [Hosts.cut, Hosts.lose_power])
def test_a_host_that_is_gone_is_left_out_and_training_ends_on_the_one_that_answers(hosts, tmp_path, fault):
    training = CONFIG["training"] | {"epochs": 100, "checkpoint": {"every_steps": 5}}
    config = pipeline(tmp_path / "lake", training)
    log = tmp_path / "lake/out/logs/train_workers.log"
    command = hosts.command(config, "--retries", "1", "training.stall_timeout_s=15")
    with (tmp_path / "said.txt").open("wb") as said:
        job = subprocess.Popen(command, env=hosts.environment, cwd=ROOT, stdout=said, stderr=said)
        try:
            wait_until(lambda: log.is_file() and "epoch 2" in log.read_text())
            fault(hosts)
            assert job.wait(300) == 0, (tmp_path / "said.txt").read_text()
        finally:
            job.kill()
    told = (tmp_path / "said.txt").read_text()
    assert f"train: no answer by ssh from {hosts.addresses[1]}" in told
    assert "attempt 2 of 2 with 1 worker" in told
    assert json.loads((tmp_path / "lake/out/bundle/metrics.json").read_text())["workers"] == 1
