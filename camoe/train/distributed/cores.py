"""The processor cores that this process may use. Torch-free."""

from __future__ import annotations

import os
from pathlib import Path

# "microseconds of processor time, or max" and "in so many microseconds", of the control group that a container is.
CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def usable_cores(quota: Path = CPU_QUOTA) -> int:
    """Count the processor cores of this process: by its affinity, and by its container's `quota` where there is one."""
    allowed = len(os.sched_getaffinity(0))
    try:
        most, period = quota.read_text().split()
    except OSError:
        return allowed
    return allowed if most == "max" else max(1, min(allowed, int(most) // int(period)))
