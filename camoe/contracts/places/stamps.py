"""Names that begin with the moment when they were made, and are in the order in which they were made."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

FORM = "%Y%m%dT%H%M%S%fZ"
STAMP = re.compile(r"\d{8}T\d{12}Z")


def stamp(moment: datetime) -> str:
    """Return the name of a moment, to the microsecond."""
    return moment.astimezone(UTC).strftime(FORM)


def next_stamp(names: Iterable[str]) -> str:
    """Return the name of this moment; or, where clocks were set back, one just after all that `names` begin with."""
    found = (STAMP.match(name) for name in names)
    last = max((match[0] for match in found if match), default="")
    now = stamp(datetime.now(UTC))
    if now > last:
        return now
    return stamp(datetime.strptime(last, FORM).replace(tzinfo=UTC) + timedelta(microseconds=1))
