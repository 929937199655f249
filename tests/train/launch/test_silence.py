"""The launcher ends a run whose workers do not run, and no other."""

from __future__ import annotations

import time

from camoe.train.launch import silence
from camoe.train.launch.silence import SilenceWatch
from camoe.train.supervision.messages import Runs


def heard(watch, seconds, *messages):
    """Let `watch` hear of `messages` again and again for so many seconds; return the first silence that it finds."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        for message in messages or (None,):
            watch.note(message)
        if found := watch.too_long():
            return found
        time.sleep(0.01)
    return None


def test_a_worker_that_tells_no_more_that_it_runs_is_lost():
    watch = SilenceWatch(2, 1)
    for message in (Runs(0, "step 7"), Runs(1, "step 7 of epoch 1")):
        watch.note(message)
    assert heard(watch, 0.9, Runs(0, "step 8")) is None
    found = heard(watch, 2, Runs(0, "step 8"))
    assert found.lost == {1}
    assert found.reason.startswith("worker 1 waited more than 1 s at step 7 of epoch 1: it did not run, and was ended")
    assert heard(watch, 0.1) is None, "it is told once"


def test_a_worker_that_has_nothing_left_to_do_may_be_silent():
    watch = SilenceWatch(2, 0.2)
    for message in (Runs(0, "ending"), Runs(1, "ending"), Runs(0, None)):
        watch.note(message)
    assert heard(watch, 2).lost == {1}


def test_a_worker_that_does_not_begin_is_lost(monkeypatch):
    monkeypatch.setattr(silence, "LAUNCH_S", 0.4)
    found = heard(SilenceWatch(2, 0.2), 2, Runs(1, "step 7"))
    assert found.lost == {0}
    assert found.reason.startswith("worker 0 had not begun 0.6 s after the launch")


def test_time_for_which_the_launcher_was_suspended_itself_does_not_count(monkeypatch):
    monkeypatch.setattr(silence, "LAUNCH_S", 0)
    watch = SilenceWatch(2, 1)
    watch.note(Runs(0, "step 7"))
    time.sleep(1.5)
    watch.note(None)
    assert watch.too_long() is None
