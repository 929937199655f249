"""How a run ended is told from the workers' messages and the launcher's lines; lost workers are left out of the next
attempt."""

from __future__ import annotations

import json
import sys
from io import StringIO
from pathlib import Path

import pytest

from camoe.contracts.errors import ConfigError, TrainingError
from camoe.train.launch.attempts import LostWorkersError, horovod_hosts, hosts_of_workers, with_retries
from camoe.train.launch.exits import WorkerExits, spark_error
from camoe.train.launch.lines import parse_line
from camoe.train.supervision.messages import (
    MESSAGES,
    Explained,
    LateWorker,
    Stalled,
    StepProgress,
    leave_ending,
    read_endings,
    send,
)
from jobs.train import main

LOG = Path("out/logs/train_workers.log")
BEREFT = "horovod.common.exceptions.HorovodInternalError: Broken pipe"
REST = "Terminating remaining workers after failure of Process 0."


def exits_of(*lines):
    exits = WorkerExits()
    for line in lines:
        exits.note(parse_line(line))
    return exits


def ended(tmp_path, *lines):
    return exits_of(*lines).error(1, LOG, tmp_path)


@pytest.fixture
def told(monkeypatch):
    """What a message is as a line of the launcher's output."""
    monkeypatch.setenv(MESSAGES, "1")

    def line(message, rank, name="stderr"):
        stream = StringIO()
        send(message, stream)
        return f"[{rank}]<{name}>:{stream.getvalue()}".removesuffix("\n")

    return line


def test_a_killed_worker_is_named_with_its_place(tmp_path):
    state = {"beats": 9, "phase": "step 7 of epoch 1", "waited_s": 0.1, "writes": 2}
    (tmp_path / "worker-1.json").write_text(json.dumps(state))
    error = ended(
        tmp_path,
        "Process 1 exit with status code 137.",
        f"[0]<stderr>:{BEREFT}",
        "Process 0 exit with status code 143.",
    )
    assert isinstance(error, LostWorkersError)
    assert error.lost == {1}
    assert str(error).startswith(
        "worker 1 was killed by SIGKILL, last seen at step 7 of epoch 1 (training ended with code 1;"
    )


@pytest.mark.parametrize(
    ("lines", "rank", "fate"),
    [
        # One that a scheduler takes away ends first; the launcher ends the others in the same way.
        (["Process 2 exit with status code 143.", REST, "Process 0 exit with status code 143."],
         2, "was killed by SIGTERM"),
        (["Process 1 exit with status code 1.", REST, f"[0]<stderr>:{BEREFT}", "Process 0 exit with status code 1."],
         1, "ended with code 1"),
        # The others may be told so fast that they end before the one that failed.
        ([f"[0]<stderr>:{BEREFT}", "Process 0 exit with status code 1.", REST, "Process 2 exit with status code 143.",
          "Process 1 exit with status code 137."], 1, "was killed by SIGKILL"),
        (["[1]<stderr>:MemoryError", f"[0]<stderr>:{BEREFT}", "Process 0 exit with status code 1.", REST,
          "Process 2 exit with status code 143.", "Process 1 exit with status code 143."],
         1, "failed with MemoryError"),
        (["[2]<stderr>:pkg.SomeError: text", f"[0]<stderr>:{BEREFT}", "Process 2 exit with status code 1.", REST,
          "Process 0 exit with status code 1."], 2, "failed with pkg.SomeError: text"),
        # Gloo takes a worker down whose peer is gone while they meet.
        (["[0]<stderr>:terminate called after throwing an instance of 'gloo::IoException'",
          "Process 0 exit with status code 134.", REST, "Process 1 exit with status code 9."], 1, "ended with code 9"),
    ],
)  # fmt: skip
def test_the_worker_that_failed_is_told_from_those_that_went_down_with_it(tmp_path, lines, rank, fate):
    error = ended(tmp_path, *lines)
    assert isinstance(error, LostWorkersError)
    assert error.lost == {rank}
    assert str(error).startswith(f"worker {rank} {fate} (training ended")


def test_workers_that_others_waited_for_are_lost(tmp_path, told):
    late = (
        LateWorker(1, "step 2", 9.2),
        LateWorker(3, "the data of step 2 (worker 3 has waited 1 s for x)", None),
        LateWorker(4, None, 9.2),
    )
    error = ended(
        tmp_path,
        told(Stalled(0, 9.0, "step 2 of epoch 1", late), 0),
        "Process 0 exit with status code 75.",
        "Process 1 exit with status code 137.",
    )
    assert isinstance(error, LostWorkersError)
    assert error.lost == {1, 3, 4}
    assert str(error).startswith(
        "worker 0 waited more than 9 s at step 2 of epoch 1: it waits for worker 1 (at step 2, silent for 9 s), worker "
        "3 (at the data of step 2 (worker 3 has waited 1 s for x)), worker 4 (has not begun, silent for 9 s); look at "
        "the workers' last lines in the log (training ended with code 1;"
    )


@pytest.mark.parametrize(
    ("ending", "cause"),
    [
        (Stalled(2, 9, "step 2"), "no worker is behind it; look at the workers' last lines in the log"),
    ],
)
def test_a_worker_that_waited_for_no_other_is_lost_itself(tmp_path, told, ending, cause):
    error = ended(tmp_path, told(ending, 2), "Process 2 exit with status code 75.")
    assert isinstance(error, LostWorkersError)
    assert error.lost == {2}
    assert str(error).startswith(f"worker 2 waited more than 9 s at step 2: {cause} (training ended with code 1;")


def test_an_error_that_a_worker_explained_is_no_loss(tmp_path, told):
    lines = [
        told(Explained(1, "the loss is nan"), 1),
        "Process 1 exit with status code 2.",
        "Process 0 exit with status code 137.",
    ]
    error = ended(tmp_path, *lines)
    assert not isinstance(error, LostWorkersError)
    assert str(error).startswith("the loss is nan (training ended")


def test_what_was_explained_first_is_not_lost_on_a_worker_that_then_waits_to_end(tmp_path, told):
    lines = [
        told(Explained(0, "the loss is nan"), 0),
        told(Stalled(1, 9, "step 2", (LateWorker(0, "ending", 9.2),)), 1),
        "Process 0 exit with status code 137.",
    ]
    error = ended(tmp_path, *lines)
    assert not isinstance(error, LostWorkersError)
    assert str(error).startswith("the loss is nan (training ended")


def test_a_launcher_that_failed_before_any_worker_is_no_loss(tmp_path):
    error = ended(tmp_path, "Traceback (most recent call last):", "ValueError: no such host")
    assert not isinstance(error, LostWorkersError)
    assert str(error).startswith("ValueError: no such host (training ended")


def test_the_user_sees_what_rank_0_says(told):
    assert parse_line("[0]<stdout>:train: epoch 1").for_user == "train: epoch 1"
    assert parse_line("[1]<stdout>:train: epoch 1").for_user is None
    assert parse_line("[0]<stderr>:train: epoch 1").for_user is None
    assert parse_line("[0]<stdout>:plan of all").for_user is None
    progress = StepProgress(1, 3, 4, 0.5, 9.0, 61.0, "1 ms/step")
    assert parse_line(told(progress, 0, "stdout")).for_user == progress


def test_the_log_has_messages_as_people_read_them(told):
    progress = told(StepProgress(1, 3, 4, 0.5, 9.0, 61.0, "1 ms/step"), 0, "stdout")
    assert (
        parse_line(progress).logged
        == "[0]<stdout>:train: epoch 1  step 3/4  9 rows/s  1 min left  loss 0.5000  1 ms/step"
    )
    assert parse_line(told(Explained(0, "no \u00e9"), 0)).logged == "[0]<stderr>:error: no \u00e9"
    broken = progress[:-1]
    for other in ("Process 1 exit", "[1]<stderr>:MemoryError", broken):
        assert parse_line(other).logged == other


def test_a_worker_that_its_alarm_ended_is_lost_and_the_log_has_its_stack(tmp_path):
    error = ended(tmp_path, "Process 1 exit with status code 142.", REST, "Process 0 exit with status code 143.")
    assert isinstance(error, LostWorkersError)
    assert error.lost == {1}
    assert "worker 1 ended itself" in str(error) and "the log has the stack of each of its threads" in str(error)


def test_by_hand_workers_print_for_people(capsys):
    send(Explained(0, "the loss is nan"), sys.stderr)
    assert capsys.readouterr().err == "error: the loss is nan\n"


def attempts(losses, hosts, workers, retries, gone=()):
    """The hosts of each attempt as Horovod gets them; attempt i loses the workers `losses[i]`.

    Hosts of `gone` do not answer any more.
    """
    seen = []

    def attempt(number, slots):
        seen.append(horovod_hosts(slots))
        if number <= len(losses):
            raise losses[number - 1]

    with_retries(attempt, hosts_of_workers(hosts, workers), retries, lambda hosts: frozenset(hosts) - {*gone})
    return seen


def lost(*ranks):
    return LostWorkersError("gone", frozenset(ranks))


def test_each_attempt_has_the_workers_that_are_left_and_one_at_least():
    here = [f"localhost:{workers}" for workers in (4, 3, 1)]
    assert attempts([lost(1), lost(0, 1, 2)], None, 4, 2) == here
    assert attempts([lost(0)], None, 1, 1) == ["localhost:1"] * 2


def test_each_attempt_leaves_out_the_hosts_slots_whose_workers_were_lost():
    """Ranks count along the hosts: those of b are 2, 3 and 4 at first, and 1, 2 and 3 once a has one worker fewer."""
    assert attempts([lost(0), lost(1, 2, 3)], "a:2,b:3,c:1", 6, 2) == ["a:2,b:3,c:1", "a:1,b:3,c:1", "a:1,c:1"]
    assert attempts([lost(0, 1)], "a:1,b:1", 2, 1) == ["a:1,b:1", "a:1"]


def test_a_host_that_does_not_answer_is_left_out_and_not_who_waited_for_it(capsys):
    assert attempts([lost(0)], "a:2,b:2", 4, 1, gone=["b"]) == ["a:2,b:2", "a:2"]
    assert "train: no answer by ssh from b\n" in capsys.readouterr().out
    assert attempts([lost(0)], "a:1,b:1", 2, 1, gone=["a", "b"]) == ["a:1,b:1", "b:1"]


def test_a_worker_that_is_gone_with_its_executor_is_lost(tmp_path):
    text = "Gloo job detected that one or more processes exited with a code.\nProcess name: 1\nExit code: None\n"
    error = spark_error(text, WorkerExits(), [], tmp_path / "train.log", tmp_path)
    assert isinstance(error, LostWorkersError)
    assert error.lost == {1}


def test_of_given_hosts_only_as_many_slots_are_used_as_there_are_workers():
    """Horovod's launcher fills all that it is given, whatever it is told of the number."""
    assert horovod_hosts(hosts_of_workers("a:4, b:4", 5)) == "a:4,b:1"


@pytest.mark.parametrize("hosts", ["a:2,b:1", "a", "a:2,", "a:2,b:0", "a:4 b:4", "-oA:4", ""])
def test_hosts_that_are_too_few_or_unreadable_are_refused(hosts):
    with pytest.raises(ConfigError, match="a slot for each of the 4 workers"):
        hosts_of_workers(hosts, 4)


def test_the_user_reads_who_goes_on(capsys):
    attempts([lost(3), lost(0, 1)], None, 4, 2)
    said = capsys.readouterr().out
    assert said == "train: gone; attempt 2 of 3 with 3 workers\ntrain: gone; attempt 3 of 3 with 1 worker\n"
    attempts([lost(0)], "a:2,b:1", 3, 1)
    assert capsys.readouterr().out == "train: gone; attempt 2 of 2 with 2 workers on a:1,b:1\n"


def test_retries_are_counted_and_explained_errors_are_not_retried():
    with pytest.raises(LostWorkersError):
        attempts([lost(1), lost(1)], None, 4, 1)
    with pytest.raises(TrainingError, match="explained"):
        attempts([TrainingError("explained")], None, 4, 3)


def in_spark(tmp_path, rank, code, *lines):
    """How a run inside Spark ended, by what Horovod says of the process that ended first and by the workers' lines."""
    text = f"Horovod detected ... The first process to do so was:\nProcess name: {rank}\nExit code: {code}\n"
    return spark_error(text, exits_of(*lines), read_endings(tmp_path), LOG, tmp_path)


def test_inside_spark_a_killed_worker_is_named_and_what_was_explained_is_not_tried_again(tmp_path, told):
    lost = in_spark(tmp_path, 1, 137, f"[0]<stderr>:{BEREFT}")
    assert isinstance(lost, LostWorkersError)
    assert lost.lost == {1}
    assert str(lost).startswith("worker 1 was killed by SIGKILL (training ended with code 137;")
    explained = in_spark(tmp_path, 0, 2, told(Explained(0, "the loss is nan"), 0), f"[1]<stderr>:{BEREFT}")
    assert not isinstance(explained, LostWorkersError)
    assert str(explained).startswith("the loss is nan (training ended with code 2;")
    waited = spark_error("Timed out waiting for\n all tasks to start.", exits_of(), (), LOG, tmp_path)
    assert "training inside Spark failed: Timed out waiting for all tasks to start. (" in str(waited)


def test_inside_spark_a_workers_reason_is_known_before_its_last_lines_are(tmp_path):
    leave_ending(tmp_path, Stalled(1, 9, "x", (LateWorker(0, "y", None),)))
    late = in_spark(tmp_path, 1, 75)
    assert isinstance(late, LostWorkersError)
    assert late.lost == {0}
    leave_ending(tmp_path, Explained(1, "the loss is nan at step 3"))
    untold = in_spark(tmp_path, 1, 2, f"[0]<stderr>:{BEREFT}")
    assert not isinstance(untold, LostWorkersError)
    assert str(untold).startswith("the loss is nan at step 3 (training ended with code 2;")


@pytest.mark.parametrize("retries", ["-1", "two"])
def test_a_number_of_retries_that_is_none_is_refused(retries, capsys):
    with pytest.raises(SystemExit):
        main(["--retries", retries])
    assert f"'{retries}' is no number of at least 0" in capsys.readouterr().err
