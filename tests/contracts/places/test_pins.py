"""A pin is there exactly while a job reads, and says who reads what."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from camoe.contracts.places import leases
from camoe.contracts.places.lease_files import lease_file
from camoe.contracts.places.leases import ELSEWHERE, ENDED, RUNNING
from camoe.contracts.places.objects import path_at
from camoe.contracts.places.pins import PinError, pinned, read_pins, remove_pin
from tests.waiting import wait_until

TABLE = Path("/lake/training")


def hold(folder, version=3):
    return pinned(folder, TABLE, version, "train", "a test reads it")


def test_a_pin_is_held_while_the_block_runs_and_gone_after_it(tmp_path):
    with hold(tmp_path) as pin:
        assert read_pins(tmp_path) == (pin,)
        assert (pin.table, pin.version, pin.job, pin.pid) == ("training", 3, "train", os.getpid())
        assert pin.state() == RUNNING
        assert "training version 3" in str(pin)
    assert read_pins(tmp_path) == ()
    assert list(tmp_path.iterdir()) == []


def test_pins_lie_in_a_store_as_well(store, monkeypatch):
    monkeypatch.setattr(leases, "RENEW_S", 0.05)
    folder = path_at("s3://lake/pins")
    with hold(folder) as pin:
        first = lease_file(folder / f"{pin.pin_id}.json").seen()
        wait_until(lambda: lease_file(folder / f"{pin.pin_id}.json").seen() != first)
        assert read_pins(folder) == (pin,)
        with pytest.raises(PinError, match="runs on this host"):
            remove_pin(folder, pin.pin_id)
    assert read_pins(folder) == ()


def test_a_job_that_fails_releases_its_pin(tmp_path):
    with pytest.raises(ValueError, match="boom"), hold(tmp_path):
        raise ValueError("boom")
    assert read_pins(tmp_path) == ()


def test_two_readers_of_one_version_hold_two_pins(tmp_path):
    with hold(tmp_path) as first:
        with hold(tmp_path) as second:
            assert {pin.pin_id for pin in read_pins(tmp_path)} == {first.pin_id, second.pin_id}
        assert read_pins(tmp_path) == (first,)


KILLED = """
import os, signal, sys
from pathlib import Path
from camoe.contracts.places.pins import pinned
with pinned(Path(sys.argv[1]), Path("/lake/training"), 7, "train", "killed"):
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_pin_of_a_killed_job_stays_is_told_as_ended_and_can_be_removed(tmp_path):
    subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    (pin,) = read_pins(tmp_path)
    assert (pin.version, pin.state()) == (7, ENDED)
    assert remove_pin(tmp_path, pin.pin_id) == pin
    assert read_pins(tmp_path) == ()


def test_the_pin_of_a_running_job_is_removed_only_by_force(tmp_path):
    with hold(tmp_path) as pin:
        with pytest.raises(PinError, match="runs on this host"):
            remove_pin(tmp_path, pin.pin_id)
        assert read_pins(tmp_path) == (pin,)
        remove_pin(tmp_path, pin.pin_id, force=True)
        assert read_pins(tmp_path) == ()


def test_another_hosts_pin_does_not_pretend_to_know_its_process(tmp_path):
    with hold(tmp_path) as pin:
        assert pin.model_copy(update={"host": "elsewhere", "place": "another"}).state() == ELSEWHERE


def test_a_pin_that_is_not_there_is_an_error_that_names_those_that_are(tmp_path):
    with hold(tmp_path) as pin, pytest.raises(PinError, match=pin.pin_id):
        remove_pin(tmp_path, "train-other-1")


def test_a_damaged_pin_stops_whoever_asks_what_is_pinned_until_it_is_removed(tmp_path):
    (tmp_path / "broken.json").write_text("{}")
    with pytest.raises(PinError, match="pins --remove broken"):
        read_pins(tmp_path)
    assert remove_pin(tmp_path, "broken") is None
    assert read_pins(tmp_path) == ()


def test_a_pin_cannot_be_named_by_a_path(tmp_path):
    (tmp_path / "outside.json").write_text("{}")
    (tmp_path / "pins").mkdir()
    with pytest.raises(PinError, match="no pin"):
        remove_pin(tmp_path / "pins", "../outside")
    assert (tmp_path / "outside.json").exists()
