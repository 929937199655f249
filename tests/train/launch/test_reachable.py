"""Hosts are asked by ssh, all at once, before a run and before a run goes on."""

from __future__ import annotations

import os
import time

import pytest

from camoe.contracts.errors import ConfigError
from camoe.train.launch import reachable


@pytest.fixture
def ssh(tmp_path, monkeypatch):
    """An `ssh` that reaches the hosts whose names begin with `up`, and waits for those that begin with `slow`."""
    program = tmp_path / "ssh"
    program.write_text('#!/bin/bash\nhost="${@: -2:1}"\n[[ $host == slow* ]] && exec sleep 60\n[[ $host == up* ]]\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("ssh")
def test_hosts_that_are_away_or_say_nothing_do_not_answer(monkeypatch):
    monkeypatch.setattr(reachable, "ANSWER_S", 0.5)
    begun = time.monotonic()
    assert reachable.answering(["up1", "localhost", "down", "slow1", "slow2", "up1"]) == {"up1", "localhost"}
    assert time.monotonic() - begun < 30


@pytest.mark.usefixtures("ssh")
def test_a_host_that_does_not_answer_is_named_before_anything_is_started():
    with pytest.raises(ConfigError, match=r"no answer by ssh from down1, down2: `ssh down1 true` has to end well"):
        reachable.require_answers(["up1", "down2", "down1"])
    reachable.require_answers(["up1", "localhost"])
