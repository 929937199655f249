"""Progress of a Spark step, as a log file and a terminal show it."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from features.spark.progress import StageTasks, job_of, step
from tests.terminals import at_terminal

# Only how far the tasks are is asked of Spark.
AT_WORK = """
import time
from types import SimpleNamespace as Tasks
from features.spark.progress import step
tracker = Tasks(getActiveStageIds=lambda: [7], getStageInfo=lambda stage: Tasks(numCompletedTasks=3, numTasks=12))
with step(Tasks(statusTracker=lambda: tracker), "build_features: comparing features with the training days"):
    time.sleep(0.6)
"""


def test_a_step_says_on_stdout_when_it_is_over_and_nothing_when_it_failed(spark, capsys):
    with step(spark.sparkContext, "reading"):
        spark.range(3).count()
    with pytest.raises(ZeroDivisionError), step(spark.sparkContext, "dividing"):
        raise ZeroDivisionError
    printed = capsys.readouterr()
    assert printed.out.startswith("reading: done in ")
    assert printed.out.count("\n") == 1
    assert not printed.err


def test_tasks_done_never_become_fewer():
    tasks = StageTasks()
    looks = [{1: (1, 12)}, {1: (9, 12), 2: (0, 4)}, {2: (1, 4)}, {3: (0, 10)}, {2: (0, 4)}, {}]
    told = [tasks.seen(look) for look in looks]
    assert told == [
        "1 tasks done, 11 to come",
        "9 tasks done, 7 to come",
        "13 tasks done, 3 to come",
        "16 tasks done, 10 to come",
        "26 tasks done, 0 to come",
        "26 tasks done, 0 to come",
    ]


def test_at_80_columns_the_figures_of_a_step_are_in_view():
    said = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", at_terminal(AT_WORK, 80))
    moving = [line.rstrip() for line in re.split(r"[\r\n]+", said) if "tasks" in line]
    assert moving
    assert all(re.search(r"comparing features .*3 tasks done, 9 to come 0:00:0\d$", line) for line in moving)
    assert max(map(len, moving)) <= 80


@pytest.mark.parametrize(("name", "job"), [("camoe score", "score"), ("other", "other"), (None, "")])
def test_a_step_that_several_jobs_have_is_told_as_the_job_that_runs(name, job):
    assert job_of(SimpleNamespace(appName=name)) == job
