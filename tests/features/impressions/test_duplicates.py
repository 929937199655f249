"""One row an id survives; contradictions are all refused."""

from __future__ import annotations

from collections import Counter, defaultdict
from datetime import UTC, date, datetime, time, timedelta
from functools import reduce
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyspark.sql import DataFrame
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError, InputError
from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.sources import Impressions, Sources
from features.impressions.duplicates import CONFLICT, DUPLICATE, mark_duplicates, payload_columns
from features.impressions.exclusions import EXCLUDED
from features.impressions.judge import judged_impressions
from features.read.raw import RAW_HASH, read_impressions
from features.read.window import DayWindow as Run
from features.spark.rows import held_rows
from tests.features.lake import write

COLUMNS = {name: name for name in ("impression_id", "user_id", "campaign_id", "slot", "ts")}
log = st.lists(
    st.tuples(st.integers(0, 25), st.sampled_from([None, "a", "b"]), st.integers(0, 2)), min_size=20, max_size=80
)


def judged(spark, rows, survivor=(), reasons=()):
    frame = held_rows(
        spark,
        [(number, user, f"raw{raw}", list(reasons) if raw == 1 else []) for number, user, raw in rows],
        "impression_id int, user_id string, _raw string, _reasons array<string>",
    ).withColumns(
        {
            "received": F.regexp_extract("_raw", r"(\d+)", 1).cast("int"),
            RAW_HASH: F.regexp_extract("_raw", r"(\d+)", 1).cast("long"),
            "date": F.lit(date(2026, 3, 1)),
            EXCLUDED: F.lit(None).cast("string"),
        }
    )
    return mark_duplicates(frame, ["impression_id", "user_id"], survivor).collect()


def dispositions(rows):
    """Per id: (survivors, duplicates, conflicts), by counting."""
    answer = {}
    for number in {row[0] for row in rows}:
        users = [user for other, user, _ in rows if other == number]
        answer[number] = (1, len(users) - 1, 0) if len(set(users)) == 1 else (0, 0, len(users))
    return answer


def test_fates_match_a_count_per_id(spark):
    @settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(rows=log)
    def agrees(rows):
        counted = Counter()
        for row in judged(spark, rows):
            fate = 2 if CONFLICT in row._reasons else int(row._duplicate)
            counted[row.impression_id, fate] += 1
        found = {number: tuple(counted[number, fate] for fate in range(3)) for number, _, _ in rows}
        assert found == dispositions(rows)

    agrees()


def test_the_survivor_does_not_depend_on_the_order_of_the_input(spark):
    rows = [(1, "a", 3), (1, "a", 1), (1, "a", 2)]
    survivors = {row._raw for order in (rows, rows[::-1]) for row in judged(spark, order) if not row._duplicate}
    assert survivors == {"raw1"}


@pytest.mark.parametrize(("survivor", "expected"), [(["received"], "raw1"), (["-received"], "raw10")])
def test_the_survivor_is_the_first_by_the_declared_expressions(spark, survivor, expected):
    rows = [(1, "a", 3), (1, "a", 10), (1, "a", 1)]
    for order in (rows, rows[::-1]):
        assert [row._raw for row in judged(spark, order, survivor) if not row._duplicate] == [expected]


def test_a_row_without_faults_survives_those_that_are_to_be_quarantined(spark):
    rows = judged(spark, [(1, "a", 1), (1, "a", 2), (1, "a", 3)], ["received"], reasons=["unknown_slot"])
    assert [row._raw for row in rows if not row._duplicate] == ["raw2"]


def test_a_survivor_cannot_save_rows_that_contradict_each_other(spark):
    rows = judged(spark, [(1, "a", 1), (1, "b", 2), (1, "a", 3)], ["received"])
    assert [(row._duplicate, row._reasons) for row in rows] == [(False, [CONFLICT])] * 3


def test_maps_are_compared_by_what_they_hold(spark):
    """Spark can neither sort nor compare a map, and by default every mapped column belongs to the payload."""
    frame = spark.createDataFrame(
        [(1, {"a": 1}, "x"), (1, {"a": 1}, "y"), (2, {"a": 1}, "x"), (2, {"a": 2}, "y"), (2, None, "z")],
        "impression_id int, tags map<string,int>, _raw string",
    )
    judged = {
        RAW_HASH: F.ascii("_raw"),
        "_reasons": F.array().cast("array<string>"),
        EXCLUDED: F.lit(None).cast("string"),
    }
    frame = frame.withColumns({**judged, "date": F.lit("2026-03-01").cast("date")})
    found = mark_duplicates(frame, ["impression_id", "tags"], ()).collect()
    assert sorted((row.impression_id, row._raw, row._duplicate, len(row._reasons)) for row in found) == [
        (1, "x", False, 0),
        (1, "y", True, 0),
        (2, "x", False, 1),
        (2, "y", False, 1),
        (2, "z", False, 1),
    ]


def test_a_survivor_of_an_unknown_column_is_refused(spark):
    with pytest.raises(InputError, match=r"the survivor of duplicate impressions.*no column `sent`.*user_id"):
        judged(spark, [(1, "a", 1)], ["sent"])


def test_the_payload_names_columns_and_labels():
    table = Impressions(path="-", columns=COLUMNS, labels={"click": "is_click"}, payload=("ts", "click"))
    assert payload_columns(table) == ("ts", "label_click")
    assert payload_columns(table.model_copy(update={"payload": None})) == (*COLUMNS, "label_click")


def test_a_payload_of_an_unknown_column_is_refused():
    table = Impressions(path="-", columns=COLUMNS, payload=("hour",))
    with pytest.raises(ConfigError, match="'hour'"):
        payload_columns(table)


FIRST = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = tuple((FIRST + timedelta(days=number)).date() for number in range(4))
SLOTS = SlotCatalogue.model_validate({"slots": [{"id": "feed", "name": "Feed", "modality": "video"}]})


def sources(**changes):
    """A log whose rows agree where their users do, and of which the last that was received is preferred."""
    log = {"path": "-", "format": "json", "columns": {**COLUMNS, "seq": "seq"}, "payload": ["user_id"]}
    log |= {"labels": {"click": "0"}, "survivor": ["-seq"]}
    log["exclude"] = [{"name": "house", "where": "user_id = 'house'"}]
    return Sources.model_validate({"impressions": {**log, **changes}, "objectives": {"click": {}}})


def drawn(seed, rows=300):
    """(seq, id, user, slot, day or None, time) of rows with few ids and users, so that many repeat or disagree."""
    draw = Random(seed)
    for seq in range(rows):
        user = draw.choice(["u1"] * 8 + ["u2", "house"])
        day = draw.choice([*range(4)] * 3 + [None])
        ts = "noon" if day is None else (FIRST + timedelta(days=day, seconds=draw.randrange(86_400))).isoformat()
        yield seq, f"i{draw.randrange(rows // 3)}", user, draw.choice(["feed"] * 5 + ["roof"]), day, ts


def fates_of(rows, reach):
    """The fate of each row by seq: found by looking at the rows of its id on its day and up to `reach` days before."""
    found = {}
    for seq, name, user, slot, day, _ in rows:
        near = [one for one in rows if one[1] == name and one[2] != "house" and one[4] is not None and day is not None]
        near = [one for one in near if one[4] <= day and (reach is None or one[4] >= day - reach)]
        before = [one for one in near if one[4] != day and one[3] == "feed"]
        best = max((one for one in near if one[4] == day), key=lambda one: (one[3] == "feed", one[0]), default=[None])
        if user == "house":
            found[seq] = "house"
        elif day is None:
            found[seq] = "unparsable_ts"
        elif {one[2] for one in near} != {user}:
            found[seq] = CONFLICT
        elif before or seq != best[0]:
            found[seq] = "duplicate"
        else:
            found[seq] = "kept" if slot == "feed" else "unknown_slot"
    return found


def told(frame, run):
    """seq, day, fate and run of rows that were judged."""
    conflict = F.when(F.array_contains("_reasons", CONFLICT), CONFLICT)
    duplicate = F.when(F.col(DUPLICATE), "duplicate")
    fate = F.coalesce(EXCLUDED, duplicate, conflict, F.get("_reasons", 0), F.lit("kept"))
    return frame.select("seq", "date", fate.alias("fate"), F.lit(run).alias("run"))


def collected(frames):
    """By run, the fate of each row that is of its days, or of no day."""
    found = defaultdict(dict)
    for row in reduce(DataFrame.unionByName, frames).where(F.col("fate") != "outside_days").collect():
        found[row.run][row.seq] = row.fate
    return found


def runs(days):
    """All days at once, and each by itself as of the next; the last first."""
    return [Run("UTC", days, FIRST + timedelta(days=9)), *(alone(day) for day in reversed(days))]


def alone(day):
    return Run("UTC", (day,), datetime.combine(day, time(2), UTC) + timedelta(days=1))


@pytest.mark.parametrize("reach", [pytest.param(None, marks=pytest.mark.slow), 2])
def test_the_fate_of_a_row_rests_on_its_day_and_those_before_whatever_is_built_with_it(spark, reach, seed):
    rows = list(drawn(seed))
    frame = held_rows(
        spark,
        [(*row[:4], row[5], "c", 0, f"raw{row[0]}", None, None) for row in rows],
        "seq int, impression_id string, user_id string, slot string, ts string, campaign_id string, label_click int, "
        "_raw string, _folder_day date, _damage string",
    )
    log = sources(repeats_days=reach)
    judged = {run.days: judged_impressions(frame, None, log, SLOTS, run) for run in runs(DAYS)}
    found = collected([told(rows, str(len(days)) + str(days[0])) for days, rows in judged.items()])
    whole = found.pop(f"4{DAYS[0]}")
    assert whole == fates_of(rows, reach)
    assert Counter(whole.values()).keys() == {"house", "unparsable_ts", CONFLICT, "duplicate", "kept", "unknown_slot"}
    of_day = {row[0]: row[4] for row in rows}
    for number, day in enumerate(DAYS):
        own = {seq for seq, fate in whole.items() if of_day[seq] in (number, None) or fate == "house"}
        assert found[f"1{day}"] == {seq: whole[seq] for seq in own}


def test_a_day_that_was_built_keeps_its_copy_of_what_comes_again_in_later_folders(spark, tmp_path):
    """Raw rows in a folder a day: the later copy is preferred by `survivor` and by its raw row, and changes nothing."""
    days = DAYS[:3]
    first, second, third = (str(day) for day in days)
    base = {"campaign_id": "c", "slot": "feed"}
    shown = {
        "again": (first, second, third),
        "late": (first, third),
        "other": (first, second),
        "resent": (second, second),
    }
    folders, seq = defaultdict(list), 0
    for name, times in shown.items():
        for number, day in enumerate(times):
            seq += 1
            user = f"u{number}" if name == "other" else "u"
            row = {"impression_id": name, "user_id": user, "ts": f"{day}T12:00:00", "seq": seq, "z": 9 - seq, **base}
            folders[day].append(row)
    for day, rows in folders.items():
        write(tmp_path / f"log/{day}/part.json", rows)
    log, frames = sources(path="log/{day}"), []
    for run in runs(days):
        rows = judged_impressions(read_impressions(spark, tmp_path, log, run), None, log, SLOTS, run)
        frames.append(told(rows, f"{len(run.days)}{run.days[0]}"))
    found = collected(frames)
    whole = found.pop(f"3{first}")
    # Of `again` the second copy is a repeat of the first, and the third of the second; `late` comes after two days.
    expected = ["kept", "duplicate", "duplicate", "kept", "kept", "kept", CONFLICT, "duplicate", "kept"]
    assert whole == dict(enumerate(expected, 1))
    assert whole == {seq: fate for fates in found.values() for seq, fate in fates.items()}
    assert sum(len(fates) for fates in found.values()) == len(whole)
