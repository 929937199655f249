"""Raw rows are kept with the rows that are refused, and with no others."""

from __future__ import annotations

import json

from pyspark.sql import functions as F

from features.impressions.checks import REASONS
from features.impressions.duplicates import CONFLICT
from features.impressions.judge import judged_impressions, with_raw
from features.impressions.tally import quarantined_rows
from features.read.raw import RAW, read_impressions
from tests.features.read.logs import SLOTS, WINDOW, as_json, row, write_log


def test_a_raw_row_goes_on_only_with_what_is_refused_and_is_found_for_what_is_refused_late(spark, tmp_path):
    """Two equal rows contradict a third; they differ from one another in what nothing reads."""
    rows = [row(0, slot="?", x=0), row(1, x=1), row(2, user="u", x=2), row(2, x=3), row(2, x=4), row(2, x=4)]
    sources = write_log(tmp_path, "json", {"a.json": as_json(rows)})
    impressions = read_impressions(spark, tmp_path, sources, WINDOW)
    judged = judged_impressions(impressions, None, sources, SLOTS, WINDOW).cache()
    told = {(tuple(one[REASONS]), one[RAW] is None) for one in judged.collect()}
    assert told == {((), True), (("unknown_slot",), False), ((CONFLICT,), True)}
    found = with_raw(quarantined_rows(judged), impressions).select(RAW, REASONS, F.col("impression_id")).collect()
    assert sorted((one.impression_id, json.loads(one[RAW])["x"]) for one in found) == [
        ("i0", 0),
        ("i2", 2),
        ("i2", 3),
        ("i2", 4),
        ("i2", 4),
    ]
    judged.unpersist()
