"""How jobs end: one line, an exit code that tells which end it was, and nothing of theirs that goes on."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from camoe.config.ending import RELEASE_S
from tests.evaluation.run import TEST, impressions, write_run
from tests.jobs.commands import run
from tests.paths import ROOT
from tests.train.pipeline import write_pipeline
from tests.waiting import wait_until

# A job that says that it is at work, then does what `main` says.
JOB = """
import os, sys, threading, time
from camoe.config.ending import exit_with, run_below
from camoe.contracts.errors import CamoeError

def begun():
    print("at work", flush=True)

def main(argv):
    {main}

exit_with(main, go_on="--resume")
"""
SIGNALS = {signal.SIGTERM: 143, signal.SIGINT: 130}


def started(main, *arguments):
    program = JOB.format(main=main)
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def ended(main, *arguments):
    job = started(main, *arguments)
    said = job.communicate(timeout=60)[1]
    return job.returncode, said.splitlines()


@pytest.mark.parametrize("number", SIGNALS)
def test_a_job_that_is_asked_to_end_releases_what_it_holds_and_says_how_to_go_on(tmp_path, number):
    held = tmp_path / "held"
    main = "held = open(sys.argv[1], 'x')\n    try: begun(); time.sleep(60)\n    finally: os.unlink(sys.argv[1])"
    job = started(main, str(held), "input=s3://me:word@bucket/lake")
    assert job.stdout.readline() == "at work\n"
    assert held.exists()
    job.send_signal(number)
    said = job.communicate(timeout=20)[1]
    assert job.returncode == SIGNALS[number]
    assert not held.exists()
    name = signal.Signals(number).name
    assert said == (
        f"error: ended by {name}; what was not finished counts for nothing; "
        f"go on with: python -c {held} input=s3://bucket/lake --resume\n"
    )


def test_what_fails_while_the_job_ends_is_not_the_reason():
    main = "\n    try: begun(); time.sleep(60)\n    finally: raise ValueError('gone')"
    job = started(main)
    job.stdout.readline()
    job.terminate()
    said = job.communicate(timeout=20)[1]
    assert job.returncode == 143
    assert said.startswith("error: ended by SIGTERM")
    assert said.count("\n") == 1


def test_a_job_that_cannot_release_ends_all_the_same():
    main = "\n    try: begun(); time.sleep(60)\n    finally: threading.Event().wait()"
    job = started(main)
    job.stdout.readline()
    asked = time.monotonic()
    job.terminate()
    said = job.communicate(timeout=3 * RELEASE_S)[1]
    assert time.monotonic() - asked >= RELEASE_S
    assert job.returncode == 143
    assert said.startswith("error: ended by SIGTERM")
    assert said.endswith("go on with: python -c --resume\n")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_what_a_job_started_ends_with_it(number):
    below = "import os, time; print(os.getpid(), flush=True); time.sleep(60)"
    job = started(f"run_below([sys.executable, '-c', {below!r}], sys.stderr, os.environ)")
    child = int(job.stdout.readline())
    job.send_signal(number)
    job.wait(timeout=20)
    wait_until(lambda: not Path(f"/proc/{child}").exists(), 20)


def test_what_is_started_by_a_job_that_is_gone_by_then_never_begins():
    """Also where the job, and so the process that is to become another program, has handlers of signals."""
    job = started("os.getppid = lambda: 0; print(run_below(['echo', 'begun'], sys.stderr, os.environ))")
    assert job.communicate(timeout=60) == (f"{-signal.SIGTERM}\n", "")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        ("CamoeError('no table; build it')", 2, "error: no table; build it"),
        (f"OSError({errno.ENOSPC}, 'No space left on device', '/out/x')", 2,
         "error: /out/x: No space left on device; make room there, then: python -c --resume"),
        (f"OSError({errno.EROFS}, 'Read-only file system', '/out/x')", 2,
         "error: /out/x: Read-only file system; choose a folder that can be written to, then: python -c --resume"),
    ],
)  # fmt: skip
def test_what_a_user_can_mend_is_one_line(error, code, said):
    assert ended(f"raise {error}") == (code, [said])


def test_a_fault_of_the_project_keeps_its_traceback():
    code, said = ended("raise KeyError('x')")
    assert code == 1
    assert said[0] == "Traceback (most recent call last):"
    assert said[-1] == "KeyError: 'x'"


def below(group):
    """Processes of the group that are not over."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = path.read_text().rpartition(")")
        except OSError:
            continue
        state, _, its_group, *_ = rest.split()
        if int(its_group) == group and state != "Z":
            found.append(path.parent.name)
    return found


def end(command, log, begun, number, to_all):
    """Start a command, send it (or, as Ctrl-C does, all below it) a signal once `begun` is there; code and errors."""
    environment = os.environ | {"PYSPARK_PYTHON": sys.executable}
    environment["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{environment['PATH']}"
    with log.open("w") as file:
        job = subprocess.Popen(command, cwd=ROOT, stdout=file, stderr=file, env=environment, start_new_session=True)
        wait_until(lambda: begun.exists() or job.poll() is not None, 120)
        asked = time.monotonic()
        os.killpg(job.pid, number) if to_all else job.send_signal(number)
        code = job.wait(timeout=60)
    assert time.monotonic() - asked < 20
    wait_until(lambda: not below(job.pid), 20)
    return code, [line for line in log.read_text().splitlines() if line.startswith(("error: ", "Traceback"))]


@pytest.mark.horovod
@pytest.mark.parametrize(("number", "to_all"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
def test_training_that_is_asked_to_end_takes_its_workers_with_it(tmp_path, number, to_all):
    config = write_pipeline(tmp_path, {"s0": 331, "s1": 203, "s2": 7})
    command = [sys.executable, "jobs/train.py", "-np", "2", "--config", str(config), "training.epochs=1000"]
    begun = tmp_path / "out/logs/workers"
    code, said = end(command, tmp_path / "log", begun, number, to_all)
    assert code == SIGNALS[number]
    (line,) = said
    assert line.startswith(f"error: ended by {signal.Signals(number).name}")
    assert line.endswith("training.epochs=1000 --resume")
    assert not (tmp_path / "out/bundle").exists()
    assert not list((tmp_path / "out/pins").glob("*"))


@pytest.mark.slow
@pytest.mark.spark
@pytest.mark.parametrize(("number", "to_all"), [(signal.SIGTERM, False), (signal.SIGINT, True)])
@pytest.mark.parametrize("by", ["spark-submit", "demo"])
def test_a_job_in_spark_that_is_asked_to_end_says_so_and_leaves_no_java(tmp_path, number, to_all, by):
    out, lake = tmp_path / "out", ["--config", "conf/lake/default.yaml"]
    submit = ["spark-submit", "--properties-file", "conf/spark/local.conf", "jobs/make_lake.py", *lake, f"out={out}"]
    demo = [sys.executable, "jobs/demo.py", "--lake", "conf/lake/default.yaml", f"out={out}"]
    command = submit if by == "spark-submit" else demo
    code, said = end(command, tmp_path / "log", out / ".lake-staging", number, to_all)
    assert code == SIGNALS[number]
    # Where Java ends first, that is what the job sees.
    assert said[-1].startswith(
        (f"error: ended by {signal.Signals(number).name}", "error: Spark was ended from outside")
    )
    assert "; go on with: " in said[-1]
    assert not (out / "raw").exists()


@pytest.mark.slow
@pytest.mark.spark
def test_an_evaluation_that_is_ended_writes_nothing_and_the_next_does_not_notice(tmp_path):
    out = tmp_path / "out"
    write_run(out, impressions(), truth=True, power=1.1)
    command = ["spark-submit", "--properties-file", "conf/spark/local.conf", "jobs/evaluate.py"]
    command += ["--config", str(out / "run.yaml")]
    before = {path for path in out.rglob("*") if path.is_file()}
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        code, said = end(command, tmp_path / "log", out / "pins", number, number == signal.SIGINT)
        assert code == {**SIGNALS, signal.SIGKILL: -signal.SIGKILL}[number]
        assert len(said) == 1, number
        assert "; go on with: " in said[0]
        assert {path for path in out.rglob("*") if path.is_file() and path.parent != out / "logs"} == before
        (out / "pins").rmdir()
    run(command)
    rows = json.loads((out / "counts.json").read_text())["evaluate"]["predictions"]
    assert rows == (impressions()["date"] == TEST).sum()
    assert (out / "report/summary.png").exists()
