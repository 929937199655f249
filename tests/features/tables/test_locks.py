"""No two processes replace a day at the same time; those of different days do not wait for each other."""

from __future__ import annotations

from datetime import date, timedelta
from threading import Thread

import pytest

from camoe.contracts.runs import RunError
from features.tables.locks import days_alone
from tests.features.maintenance.upkeep import hold_days
from tests.waiting import wait_until

FIRST = date(2026, 3, 1)


def day(number):
    return FIRST + timedelta(days=number)


@pytest.fixture
def holding(tmp_path):
    """Start a process that holds days, or all."""
    started = []

    def start(*days):
        started.append(hold_days(tmp_path, *days))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_day_is_held_by_one_process_until_it_ends(tmp_path, holding):
    process = holding(day(1), day(2), day(4))
    with days_alone(tmp_path, [day(0), day(3), day(5)], longest_s=0.0):
        pass
    message = (
        r"gave up after 0 s waiting for a run that replaces the same days: "
        rf"another run holds one of {day(2)}\.\.{day(3)}"
    )
    with pytest.raises(RunError, match=message), days_alone(tmp_path, [day(2), day(3)], longest_s=0.0):
        pass
    with pytest.raises(RunError, match="holds a day"), days_alone(tmp_path, None, longest_s=0.0):
        pass
    process.kill()
    process.communicate()
    with days_alone(tmp_path, [day(2), day(3)], longest_s=0.0):
        pass


def test_whoever_holds_all_days_holds_each(tmp_path, holding):
    holding()
    with pytest.raises(RunError, match=f"holds one of {day(0)}"), days_alone(tmp_path, [day(0)], longest_s=0.0):
        pass


def test_who_waits_for_a_day_holds_none(tmp_path, holding, capsys):
    """Else two runs could each wait for what the other holds."""
    first = holding(day(1))

    def wait():
        with days_alone(tmp_path, [day(0), day(1)]):
            pass

    waiting = Thread(target=wait)
    waiting.start()
    wait_until(lambda: "waits for" in capsys.readouterr().out)
    second = holding(day(0))
    for process in (first, second):
        process.kill()
    waiting.join()
