"""Which raw impressions count, and with what outcome: each once, with what was known when its label matured."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random

from camoe.contracts.sources import Sources
from features.history.columns import history_rows
from features.impressions.judge import judged_impressions
from features.impressions.labels import settled_column
from features.read.raw import read_impressions
from tests.features.read.logs import COLUMNS, SLOTS, WINDOW, as_json, row

WINDOW_S, REPORT_S = 3600, 600
OUTCOMES = "impression_id string, objective string, ts string, available_at string, value string"


def shown(draw, number):
    """An impression; some are logged twice, some once more with another campaign."""
    own = row(number, ts=f"2026-01-01 10:{draw.randrange(60):02d}:00")
    more = draw.choice([[], [], [own], [own, own], [{**own, "campaign": "d"}]])
    return [own, *more]


def outcomes_of(draw, impression):
    """Outcomes around the end of the window and of the time to tell, taken back, or nobody can make sense of."""
    happened = datetime.fromisoformat(str(impression["ts"]))
    for _ in range(draw.choice([0, 0, 1, 2, 3])):
        ts = happened + timedelta(seconds=draw.choice([0, 60, WINDOW_S, WINDOW_S + 1]))
        told = ts + timedelta(seconds=draw.choice([0, REPORT_S, WINDOW_S + REPORT_S, 20_000]))
        yield (impression["id"], "click", str(ts), str(told), draw.choice(["1", "1", "1", "0", "0", "7"]))


def settled(impression, outcomes):
    """What was known of the impression's outcome when its label matured; None where that makes no sense."""
    happened = datetime.fromisoformat(str(impression["ts"]))
    closes, matures = (happened + timedelta(seconds=seconds) for seconds in (WINDOW_S, WINDOW_S + REPORT_S))
    known = [one for one in outcomes if one[0] == impression["id"] and datetime.fromisoformat(one[3]) <= matures]
    if any(one[4] == "7" for one in known):
        return None
    return int(any(one[4] == "1" and happened <= datetime.fromisoformat(one[2]) <= closes for one in known))


def test_a_repeat_counts_once_and_an_outcome_that_is_taken_back_or_told_late_changes_nothing(spark, tmp_path, seed):
    draw = Random(seed)
    rows = [shown(draw, number) for number in range(300)]
    log = [one for group in rows for one in outcomes_of(draw, group[0])]
    everything = [one for group in rows for one in group]
    draw.shuffle(everything)
    (tmp_path / "log.json").write_bytes(as_json(everything))
    sources = Sources.model_validate(
        {
            "impressions": {"path": "log.json", "format": "json", "columns": COLUMNS},
            "outcomes": {
                "path": "outcomes.json",
                "format": "json",
                "columns": {name: name for name in ("impression_id", "objective", "ts", "available_at", "value")},
            },
            "objectives": {"click": {"window_s": WINDOW_S, "report_s": REPORT_S}},
        }
    )
    impressions = read_impressions(spark, tmp_path, sources, WINDOW)
    judged = judged_impressions(impressions, spark.createDataFrame(log, OUTCOMES), sources, SLOTS, WINDOW)
    found = history_rows(judged).select("impression_id", settled_column("click")).collect()
    counted = [group[0] for group in rows if len({one["campaign"] for one in group}) == 1]
    assert sorted((one.impression_id, str(one[1])) for one in found) == sorted(
        (one["id"], str(settled(one, log))) for one in counted
    )
    assert {settled(one, log) for one in counted} == {None, 0, 1}
