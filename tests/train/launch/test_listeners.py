"""On one machine nobody else is listened to, and the rendezvous serves no files."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from http.client import HTTPConnection, HTTPException

import psutil
import pytest

from tests.paths import ROOT
from tests.train.pipeline import write_pipeline

pytestmark = [pytest.mark.horovod, pytest.mark.spark]

ROWS = {"s0": 331, "s1": 203, "s2": 7}
SUBMIT = ("spark-submit", "--properties-file", "conf/spark/local.conf", "--conf", "spark.ui.enabled=true")


def other_address():
    """An address of this machine that is not the loopback's."""
    families = (address for addresses in psutil.net_if_addrs().values() for address in addresses)
    found = (one.address for one in families if one.family == socket.AF_INET and not one.address.startswith("127."))
    return next(found, None) or pytest.skip("this machine has no other address than the loopback")


def listening(process):
    """Ports at which the process and those that it started listen: of each the address, and the command."""
    found = {}
    for one in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            command = " ".join(one.cmdline())
            for connection in one.net_connections(kind="inet"):
                if connection.status == psutil.CONN_LISTEN:
                    found[connection.laddr.port] = connection.laddr.ip.removeprefix("::ffff:"), command
    return found


def reached(address, port):
    """Whether a connection to the port can be made by that address, or is refused."""
    with socket.socket() as connection:
        connection.settimeout(2)
        return connection.connect_ex((address, port)) == 0


def answer(port):
    """What the HTTP server at `port` answers when it is asked for a file of the working folder; None if it is none."""
    with contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=2)) as server:
        try:
            server.request("HEAD", "/.git/config")
            return server.getresponse().status
        except (OSError, HTTPException):
            return None


@pytest.mark.slow
@pytest.mark.parametrize(
    ("by", "options"),
    [
        pytest.param((sys.executable,), (), id="horovod"),
        pytest.param(SUBMIT, ("--launcher", "spark"), id="spark"),
    ],
)
def test_only_this_machine_is_listened_to_while_training_runs(tmp_path, by, options):
    config, other, seen, answers = write_pipeline(tmp_path, ROWS), other_address(), {}, {}
    command = [*by, ROOT / "jobs/train.py", "-np", "2", "--config", config, *options, "training.epochs=2"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT) as job:
        while True:
            for port, (address, started) in listening(psutil.Process(job.pid)).items():
                if port not in seen:
                    seen[port] = address, reached(other, port), started
                    # Gloo takes no strangers' words well.
                    if "horovodrun" in started or ("jobs/train.py" in started and "java" not in started):
                        answers[port] = answer(port)
            try:
                shown, _ = job.communicate(timeout=0.05)
                break
            except subprocess.TimeoutExpired:
                continue
    assert job.returncode == 0, shown
    assert seen
    assert [found for found in seen.values() if found[0] != "127.0.0.1" or found[1]] == []
    assert 404 in answers.values(), "the rendezvous"
    assert 200 not in answers.values()
