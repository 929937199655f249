"""What was not known at a run's as-of time: impressions to come and labels whose windows are open."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.features import lake

LAST = lake.DAYS[-1]
WINDOW = timedelta(hours=1)


def by_day(rows):
    """The rows of the last day, and those of the days before it."""
    last = {key: row for key, row in rows.items() if str(row.date) == LAST}
    return last, {key: row for key, row in rows.items() if key not in last}


def lasting(row):
    """The row without what a later run with a later as-of time refreshes."""
    return {**row.asDict(), "run_id": None, "label_click": None, "label_as_of": None}


@pytest.mark.slow
def test_a_later_run_adds_what_came_later_and_refreshes_labels_that_had_not_matured(spark, clean_build, tmp_path):
    config = lake.copy_of(clean_build, tmp_path).config
    final, others = by_day(lake.training(spark, tmp_path))
    # Twelve impressions come within eleven minutes, then all; the windows of sixteen of them have closed by the end.
    found = []
    for time in ("12:11", "13:15"):
        as_of = datetime.fromisoformat(f"{LAST}T{time}:00+00:00")
        assert lake.run_job(config, "--days", LAST, "--as-of", as_of.isoformat()) == 0
        rows, unchanged = by_day(lake.training(spark, tmp_path))
        assert unchanged == others
        assert {row.label_as_of.astimezone(UTC) for row in rows.values()} == {as_of}
        for key, row in rows.items():
            mature = row.ts.astimezone(UTC) <= as_of - WINDOW
            assert row.label_click == (final[key].label_click if mature else None)
            assert lasting(row) == lasting(final[key])
        counts = lake.counts(tmp_path)
        fates = (counts["excluded"], counts["quarantined"])
        assert counts["read"] == counts["written"] + counts["duplicates"] + sum(sum(part.values()) for part in fates)
        later = counts["excluded"].get("after_as_of", 0)
        found.append((later, len(rows), sum(row.label_click is not None for row in rows.values())))
    assert found == [(lake.ROWS_A_DAY - 12, 12, 0), (0, lake.ROWS_A_DAY, 16)]
    # Clicks that have happened are not told before their windows close.
    assert [key for key, row in rows.items() if row.label_click is None and final[key].label_click == 1]
