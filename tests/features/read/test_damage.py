"""Files that are damaged or differ from each other: each case has one outcome, and none loses a row silently."""

from __future__ import annotations

import gzip
import json
from typing import NamedTuple

import pyarrow as pa
import pytest

from camoe.contracts.errors import InputError
from camoe.contracts.sources import Outcomes
from features.impressions.checks import REASONS, check
from features.read.damage import damage
from features.read.parts import Part
from features.read.raw import RAW, read_impressions, read_outcome_log, read_table
from tests.features.read.logs import (
    COLUMNS,
    NAMES,
    SLOTS,
    WINDOW,
    as_csv,
    as_json,
    as_parquet,
    as_table,
    parquet_file,
    row,
    write_log,
)
from tests.features.spark.told import told_in_one_line


class Checked(NamedTuple):
    """An impression after the checks: its id if it could be read, the reasons to refuse it, and its raw row."""

    impression_id: str | None
    reasons: list[str]
    raw: dict


def read(spark, folder, *arguments, **changes):
    """What the checks make of the log that `write_log` writes of the arguments."""
    sources = write_log(folder, *arguments, **changes)
    checked = check(read_impressions(spark, folder, sources, WINDOW), SLOTS, ["click"])
    return [Checked(one.impression_id, one[REASONS], json.loads(one[RAW])) for one in checked.orderBy(RAW).collect()]


def faults(found):
    return {tuple(reasons): raw for _, reasons, raw in found if reasons}


def test_csv_rows_of_other_widths_and_bytes_that_are_no_text_are_quarantined(spark, tmp_path):
    lines = (
        as_csv([row(0)]) + b"i1,u1,c\ni2,u2,c,feed,2026-01-01 10:00:00,more\ni3,u\xff\xfe,c,feed,2026-01-01 10:00:00\n"
    )
    found = read(spark, tmp_path, "csv", {"a.csv": lines})
    assert [(name, reasons) for name, reasons, _ in found if not reasons] == [("i0", [])]
    assert sorted((reasons, raw.get("_record")) for _, reasons, raw in found if reasons) == [
        (["corrupt_record"], "i1,u1,c"),
        (["corrupt_record"], "i2,u2,c,feed,2026-01-01 10:00:00,more"),
        (["invalid_text"], None),
    ]
    assert all(name is None for name, reasons, _ in found if reasons)


def test_json_lines_that_are_cut_or_no_text_are_quarantined(spark, tmp_path):
    lines = as_json([row(0)]) + as_json([row(1)])[:-9] + b"\n" + as_json([row(2)]).replace(b"u2", b"u\xff")
    found = read(spark, tmp_path, "json", {"a.json": lines + b'"text"\n'})
    assert sorted(reasons for _, reasons, _ in found) == [
        [],
        ["corrupt_record"],
        ["corrupt_record"],
        ["invalid_text"],
    ]
    assert faults(found)["corrupt_record",]["_file"].endswith("log/a.json")


def test_parquet_text_that_is_no_utf8_is_quarantined(spark, tmp_path):
    bad = pa.array([b"c", b"c\xff"], pa.binary()).view(pa.string())
    rows = pa.table({name: [row(0)[name], row(1)[name]] for name in NAMES}).set_column(2, "campaign", bad)
    found = read(spark, tmp_path, "parquet", {"a.parquet": parquet_file(rows)})
    assert [reasons for _, reasons, _ in found] == [[], ["invalid_text"]]


def test_no_text_in_a_column_that_nothing_reads_does_no_harm(spark, tmp_path):
    lines = as_csv([row(0, note="-")], (*NAMES, "note")).replace(b"-\n", b"\xff\n")
    assert [reasons for _, reasons, _ in read(spark, tmp_path, "csv", {"a.csv": lines})] == [[]]


MOVED = ("ts", "user", "id", "campaign", "slot")


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("csv", {"a.csv": as_csv([row(0)]), "b.csv": as_csv([row(1)], MOVED)}),
        (
            "csv",
            {
                "a.csv": as_csv([row(0, x="?")], ("x", *NAMES)),
                "b.csv.gz": gzip.compress(as_csv([row(1)])),
                "c.csv": b"",
            },
        ),
        ("parquet", {"a.parquet": as_parquet([row(0)]), "b.parquet": as_parquet([row(1)], MOVED)}),
        ("parquet", {"a.parquet": as_parquet([row(0)]), "b.parquet": as_parquet([row(1, x=1)], (*NAMES, "x"))}),
        ("json", {"a.json": as_json([row(0)]), "b.json": as_json([{name: row(1)[name] for name in MOVED}])}),
        ("json", {"a.json": as_json([row(0)]), "b.json": as_json([row(1, x=1)])}),
        ("delta", {"first": as_table([row(0)], MOVED), "then": as_table([row(1)])}),
        ("delta", {"first": as_table([row(0)]), "then": as_table([row(1, x=1)], (*NAMES, "x"))}),
    ],
    ids=[f"{kind}-{what}" for kind in ("csv", "parquet", "json", "delta") for what in ("reordered", "added")],
)
def test_columns_are_found_by_name_in_each_file(spark, tmp_path, kind, files):
    found = read(spark, tmp_path, kind, files)
    assert [(name, reasons, raw["user"]) for name, reasons, raw in sorted(found, key=str)] == [
        ("i0", [], "u0"),
        ("i1", [], "u1"),
    ]


ADVERT = {name: value for name, value in row(1, advert="c").items() if name != "campaign"}


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("json", {"a.json": as_json([row(0)]), "b.json": as_json([ADVERT])}),
        ("delta", {"first": as_table([row(0)]), "then": as_table([ADVERT], tuple(ADVERT))}),
    ],
    ids=["json", "delta"],
)
def test_a_column_renamed_in_one_file_is_null_where_the_format_leaves_out_nulls(spark, tmp_path, kind, files):
    found = read(spark, tmp_path, kind, files)
    assert sorted((name, reasons) for name, reasons, _ in found) == [("i0", []), ("i1", ["null_campaign_id"])]


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("csv", {"a.csv": as_csv([row(0)]), "b.csv": as_csv([row(1, user=7)])}),
        ("json", {"a.json": as_json([row(0)]), "b.json": as_json([row(1, user=7)])}),
    ],
    ids=["csv", "json"],
)
def test_another_type_in_one_file_is_text_where_files_tell_no_types(spark, tmp_path, kind, files):
    found = read(spark, tmp_path, kind, files)
    assert sorted((name, reasons, raw["user"]) for name, reasons, raw in found) == [("i0", [], "u0"), ("i1", [], "7")]


RENAMED = ("id", "user", "advert", "slot", "ts")
MANY = [row(number) for number in range(500)]
CUT_CSV = gzip.compress(as_csv(MANY))[:-400]
CUT_JSON = gzip.compress(as_json(MANY))[:-400]
# A footer that is sound, and pages that are not.
HOLED_PARQUET = as_parquet(MANY)[:40] + b"\xff" * 200 + as_parquet(MANY)[240:]


WITHOUT_USER = [{name: row(0)[name] for name in NAMES if name != "user"}]
REFUSED = {
    "gzip csv": ("csv", {"a.csv.gz": CUT_CSV}, r"log/a\.csv\.gz cannot be read: Unexpected end .*; put a whole"),
    "gzip json": (
        "json",
        {"a.json.gz": CUT_JSON},
        r"log/a\.json\.gz cannot be read: Unexpected end .*no file is damaged",
    ),
    "cut parquet": (
        "parquet",
        {"a.parquet": as_parquet(MANY), "b.parquet": as_parquet(MANY)[:-90]},
        r"cannot read \S*log/b\.parquet",
    ),
    "holed parquet": (
        "parquet",
        {"a.parquet": as_parquet(MANY), "b.parquet": HOLED_PARQUET},
        r"cannot build: \S*log/b\.parquet cannot be read: .*; put a whole copy",
    ),
    "renamed in one csv": (
        "csv",
        {"a.csv": as_csv([row(0)]), "b.csv": as_csv([row(0, advert="c")], RENAMED)},
        r"log/b\.csv: 'campaign_id: campaign': there is no column `campaign`",
    ),
    "dropped in one parquet": (
        "parquet",
        {"a.parquet": as_parquet([row(0)]), "b.parquet": as_parquet([row(1)], NAMES[:4])},
        r"log/b\.parquet: 'ts: ts': there is no column `ts`",
    ),
    "renamed in one parquet": (
        "parquet",
        {"a.parquet": as_parquet([row(0)]), "b.parquet": as_parquet([row(0, advert="c")], RENAMED)},
        r"log/b\.parquet: 'campaign_id: campaign': there is no column `campaign`",
    ),
    "dropped in one csv": (
        "csv",
        {"a.csv": as_csv([row(0)]), "b.csv": as_csv([row(1)], NAMES[:4])},
        r"log/b\.csv: 'ts: ts': there is no column `ts`",
    ),
    "renamed in all delta": (
        "delta",
        {"all": as_table([row(0, advert="c")], RENAMED)},
        r"'campaign_id: campaign': there is no column `campaign`; the columns there are id, user, advert, slot, ts",
    ),
    "dropped in all delta": (
        "delta",
        {"all": as_table(WITHOUT_USER, ("id", "campaign", "slot", "ts"))},
        r"'user_id: user': there is no column `user`",
    ),
    # Without the column, `user` is Spark's name for whoever runs the job.
    "dropped in all json": (
        "json",
        {"a.json": as_json(WITHOUT_USER)},
        r"'user_id: user': there is no column `user`; the columns there are campaign, id, slot, ts",
    ),
    "other type in one parquet": (
        "parquet",
        {"a.parquet": as_parquet([row(0)]), "b.parquet": as_parquet([row(1, user=1)])},
        r"log/b\.parquet: user_id is bigint, but string in .*log/a\.parquet; cast it",
    ),
    "two columns of one name": (
        "csv",
        {"a.csv": as_csv([row(0)], (*NAMES, "id"))},
        r"a\.csv as csv: its columns 1 and 6 have the same name",
    ),
    "two records in one line": (
        "json",
        {"a.json": as_json(MANY[:1]).rstrip() + as_json(MANY[1:2])},
        r"a\.json has a line of more than one record",
    ),
    "no header": ("csv", {"a.csv": as_csv([row(7)])[25:]}, r"the columns there are the 5 of the first line"),
    "no file": ("csv", {}, r"there is no file"),
    "no row": ("csv", {"a.csv": as_csv([])}, r"log has no rows"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_right_is_refused_by_the_file_that_is_to_blame(spark, tmp_path, case):
    kind, files, message = REFUSED[case]
    with pytest.raises(InputError, match=message) as refused:
        sources = write_log(tmp_path, kind, files)
        told_in_one_line(read_impressions(spark, tmp_path, sources, WINDOW).collect)
    assert "u7" not in str(refused.value)


def test_braces_within_text_are_not_two_records(spark, tmp_path):
    text = as_json([row(0, campaign='a } { b \\" } {')])
    assert [reasons for _, reasons, _ in read(spark, tmp_path, "json", {"a.json": text})] == [[]]


NO_TEXT = row(1, user="u\ufffe", campaign="\ufffe")
DAMAGED = {
    "cut csv": ("csv", as_csv([row(0)]) + b"i1,u1\n", "corrupt_record"),
    "cut json": ("json", as_json([row(0)]) + b'{"user": "u1", \n', "corrupt_record"),
    "no text in csv": ("csv", as_csv([row(0), NO_TEXT]).replace("\ufffe".encode(), b"\xff"), "invalid_text"),
    "no text in json": ("json", as_json([row(0), NO_TEXT]).replace(b"\\ufffe", b"\xff"), "invalid_text"),
}


@pytest.mark.parametrize("joined", ["user", "outcomes"])
@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_row_of_a_joined_table_stops_whoever_reads_its_key(spark, tmp_path, case, joined):
    kind, content, reason = DAMAGED[case]
    sources = write_log(tmp_path, kind, {f"a.{kind}": content})
    user = sources.entities["user"]
    if joined == "user":
        table, key = read_table(spark, tmp_path, "user", user, None), "user_id"
    else:
        columns = {"impression_id": "user", "objective": "campaign", "ts": "ts"}
        log = Outcomes(path="log", format=kind, options=user.options, columns=columns)
        with_log = sources.model_copy(update={"outcomes": log})
        table, key = read_outcome_log(spark, tmp_path, with_log, log, WINDOW), "impression_id"
    with pytest.raises(InputError, match=rf"{joined}: a row of \S*log/a\.{kind} is damaged \({reason}\); mend it"):
        told_in_one_line(lambda: table.where(f"{key} = 'u0'").collect())


@pytest.mark.parametrize("option", ["mode", "columnNameOfCorruptRecord", "inferSchema", "ignoreCorruptFiles"])
def test_options_that_drop_or_guess_are_refused(tmp_path, option):
    with pytest.raises(ValueError, match=f"option {option} is not to be set"):
        write_log(tmp_path, "csv", {}, {option: "DROPMALFORMED"})


def test_a_value_that_cannot_be_cast_is_not_told(spark, tmp_path):
    sources = write_log(
        tmp_path, "csv", {"a.csv": as_csv([row(7)])}, columns={**COLUMNS, "user_id": "cast(user as int)"}
    )
    frame = read_impressions(spark, tmp_path, sources, WINDOW)
    with pytest.raises(InputError, match=r'type "STRING" cannot be cast to "INT" in: cast\(user as int\)') as refused:
        told_in_one_line(frame.collect)
    assert "u7" not in str(refused.value)


def test_the_check_for_text_is_one_expression_however_many_columns_there_are(spark):
    """Spark simplifies a chain of ORs in a time that grows by the square: 100 columns took it two minutes."""
    frame = spark.createDataFrame([], ", ".join(f"k{number} string" for number in range(200)))
    plan = frame.where(damage(Part(frame, "-"), frame.columns).isNull())._jdf.queryExecution().optimizedPlan()
    assert plan.toString().count(" OR ") <= 4
