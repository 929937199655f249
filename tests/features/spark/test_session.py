"""The Java that the shipped settings start."""

from __future__ import annotations

# The feature job compiles 50 MB on the smallest lakes; wider tables have more expressions.
ROOM_MB = 200


def test_compiled_code_has_room(spark):
    pools = spark._jvm.java.lang.management.ManagementFactory.getMemoryPoolMXBeans()
    room = sum(pool.getUsage().getMax() for pool in pools if "Code" in pool.getName())
    assert room >= ROOM_MB * 2**20
