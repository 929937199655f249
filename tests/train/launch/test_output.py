"""What one process prints is shown by another, line by line."""

from __future__ import annotations

import subprocess
import sys
from contextlib import closing
from threading import Barrier, Thread

from camoe.train.launch.output import LineTee, following, tee_stdout
from tests.waiting import wait_until

SAYS = """
import sys
from pathlib import Path
from camoe.train.launch.output import tee_stdout
with tee_stdout(Path(sys.argv[1])):
    for line in sys.stdin:
        print(line.strip(), end="" if line == "half\\n" else "\\n", flush=True)
print("after")
"""


def test_lines_are_shown_when_they_are_whole_and_stay_where_they_were_printed(tmp_path):
    file, shown = tmp_path / "not yet" / "said.txt", []
    command = [sys.executable, "-c", SAYS, file]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with following(file, shown.append), process:
        for line in ("one", "half"):
            print(line, file=process.stdin, flush=True)
        wait_until(lambda: shown == ["one"])
        assert process.stdout.readline() == "one\n"
        print(" and half", file=process.stdin, flush=True)
        wait_until(lambda: shown == ["one", "halfand half"])
        out, _ = process.communicate("last\n")
        assert out.endswith("last\nafter\n")
    assert shown == ["one", "halfand half", "last"]


def test_a_file_that_never_comes_shows_nothing(tmp_path):
    shown = []
    with following(tmp_path / "said.txt", shown.append):
        pass
    assert shown == []


def test_where_no_file_can_be_made_the_lines_are_still_printed(tmp_path, capsys):
    (tmp_path / "file").write_text("where the folder should be")
    with tee_stdout(tmp_path / "file" / "said.txt"):
        print("one")
        print("not ended", end="")
    out = capsys.readouterr().out
    assert out.endswith("training goes on without it\none\nnot ended\n")


def test_lines_of_several_threads_stay_whole():
    taken, barrier = [], Barrier(2)

    def write(stream, name):
        for piece in (name, name, "\n"):
            barrier.wait()
            stream.write(piece)

    with closing(LineTee(taken.append)) as stream:
        threads = [Thread(target=write, args=(stream, name)) for name in "ab"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(taken) == ["aa\n", "bb\n"]
