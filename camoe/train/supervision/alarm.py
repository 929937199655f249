"""An alarm that ends this process when nobody sets it anew, also while native code holds the interpreter's lock.

`faulthandler.dump_traceback_later(exit=True)` would end one, too, that was suspended and wakes. So the alarm rings
twice: the first time it prints what each thread does, and the second time, as long after, it ends the process. One that
runs sets it anew between.
"""

from __future__ import annotations

import ctypes
import faulthandler
import signal

# By its number, as whoever prints the stacks holds no lock.
STDERR = 2
# glibc's way to set a handler that is taken away when it is called: then the signal ends the process, its default.
_ONCE = ctypes.PyDLL(None).sysv_signal
_ONCE.restype, _ONCE.argtypes = ctypes.c_void_p, (ctypes.c_int, ctypes.c_void_p)


class Alarm:
    """Ends this process by SIGALRM between one and two times `timeout_s` after it was set last."""

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        faulthandler.register(signal.SIGALRM, file=STDERR)
        self._print_stacks = _ONCE(signal.SIGALRM, None)

    def set(self) -> None:
        """Set it, or set it anew."""
        _ONCE(signal.SIGALRM, self._print_stacks)
        signal.setitimer(signal.ITIMER_REAL, self._timeout_s, self._timeout_s)

    def stop(self) -> None:
        """Let it ring no more."""
        signal.setitimer(signal.ITIMER_REAL, 0)
        faulthandler.unregister(signal.SIGALRM)
