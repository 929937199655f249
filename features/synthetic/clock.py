"""Local days and moments as Spark timestamps."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from zoneinfo import ZoneInfo

from pyspark.sql import Column
from pyspark.sql import functions as F

DAY_S = 86_400


@dataclass(frozen=True)
class Clock:
    """The days of a lake in its zone."""

    first_day: date
    days: int
    zone: str

    def moment(self, local_s: Column) -> Column:
        """Return the UTC time stamp of `local_s` seconds of wall clock after the first day's midnight."""
        midnight = datetime.combine(self.first_day, time(), ZoneInfo("UTC")).timestamp()
        wall = F.timestamp_millis(((F.lit(midnight) + local_s) * 1000).cast("long"))
        return F.to_utc_timestamp(wall, self.zone)

    def local(self, moment: Column) -> Column:
        """Return the wall-clock time of a UTC time stamp."""
        return F.from_utc_timestamp(moment, self.zone)

    def day(self, moment: Column) -> Column:
        """Return the number of the local day, 0 for the first."""
        return F.datediff(self.local(moment), F.lit(self.first_day))


def later(moment: Column, seconds: Column) -> Column:
    """Add `seconds` to `moment`, to the millisecond."""
    return F.timestamp_millis(F.unix_millis(moment) + (seconds * 1000).cast("long"))
