"""The bucket of users that an impression belongs to: one function for training's validation and for evaluation.

In Spark it is `pmod(xxhash64(cast(user_id as string)), buckets)`, which `camoe.evaluation` uses.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from xxhash import xxh64_intdigest

from camoe.metrics.histogram import Ints

# With which Spark hashes the first of several values.
SPARK_SEED = 42


def user_buckets(users: Iterable[object], buckets: int) -> Ints:
    """Return the bucket of each of `users`, shape (users,); each distinct one is hashed once."""
    code, distinct = pd.factorize(np.asarray(users, dtype=object))
    signed = np.array([xxh64_intdigest(_text(user), seed=SPARK_SEED) for user in distinct], np.uint64).astype(np.int64)
    return np.mod(signed, buckets)[code] if len(code) else np.zeros(0, np.int64)


def _text(user: object) -> bytes:
    return user if isinstance(user, bytes) else str(user).encode()
