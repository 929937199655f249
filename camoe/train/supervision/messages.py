"""What workers say of themselves and of one another, and how it is told again from their output."""

from __future__ import annotations

import re

from camoe.stream.planning.world import World

WAITED_LINE = re.compile(r"^error: worker (?P<rank>\d+) waited more than ")
LATE_WORKER = re.compile(r"(?:waits for|,) worker (?P<rank>\d+) \(")
BEGINS_LINE = re.compile(r"^train: worker \d+ of \d+ begins$")


def begins(world: World) -> str:
    """What each worker says on stderr once it is watched."""
    return f"train: worker {world.rank} of {world.size} begins"
