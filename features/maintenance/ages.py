"""Ages as they are given on the command line."""

from __future__ import annotations

import re
from datetime import timedelta

from features.maintenance.errors import MaintenanceError

UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


def age(text: str) -> timedelta:
    """`0s`, `90m`, `2h`, `3d` as a duration. Raises `MaintenanceError` for anything else."""
    found = re.fullmatch(r"(\d{1,6})([smhd])", text)
    if not found:
        raise MaintenanceError(f"'{text}' is no age: write a whole number and s, m, h or d, for example 90m or 7d")
    return timedelta(**{UNITS[found[2]]: int(found[1])})
