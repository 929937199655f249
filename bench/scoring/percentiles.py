"""How long a call takes, by the clock and by this process's processor time."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

WARM_UP = 10


def percentiles(work: Callable[[], object], repeats: int) -> dict[str, float]:
    """Return p50 and p99 of `work` in milliseconds."""
    clock, processor = [], []
    for _ in range(repeats + WARM_UP):
        started, used = time.perf_counter(), time.process_time()
        work()
        clock.append(1e3 * (time.perf_counter() - started))
        processor.append(1e3 * (time.process_time() - used))
    p50, p99, own = (*np.percentile(clock[WARM_UP:], [50, 99]), np.median(processor[WARM_UP:]))
    return {"p50_ms": round(float(p50), 3), "p99_ms": round(float(p99), 3), "processor_p50_ms": round(float(own), 3)}
