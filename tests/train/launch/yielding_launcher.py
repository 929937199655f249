"""Stands for Horovod's launcher where that ends without an error when it is asked to end, as it may on a busy machine.

Its one worker begins, and then says nothing more.
"""

from __future__ import annotations

import signal
import sys

from camoe.train.supervision.messages import Runs, send

if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # As Horovod's launcher passes on what a worker says.
    sys.stdout.write("[0]<stdout>:")
    send(Runs(0, "step 3 of epoch 1"), sys.stdout)
    while True:
        signal.pause()
