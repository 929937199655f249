"""Programs at a terminal of their own."""

from __future__ import annotations

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence


def at_terminal(program: str, columns: int, arguments: Sequence[str] = ()) -> str:
    """Run the Python `program` at a terminal so many columns wide; return what the terminal was given."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    plain = {name: value for name, value in os.environ.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}
    command = [sys.executable, "-c", program, *arguments]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, env=plain | {"TERM": "xterm"}) as process:
        os.close(theirs)
        said = b""
        try:
            while part := os.read(ours, 4096):
                said += part
        except OSError:  # The other end is closed.
            pass
    os.close(ours)
    assert process.returncode == 0, said.decode()
    return said.decode()
