"""What gives other values when it is computed again is told from what does not."""

from __future__ import annotations

import contextlib
import re
from datetime import date

import pytest
from pyspark.errors import AnalysisException

from camoe.contracts.errors import InputError
from camoe.contracts.sources import Sources
from features.join.entities import join_entities, unjoined
from features.spark.expressions import MANY_ROWS, OTHER_ROWS, RUN_DEPENDENT, has_subquery, refusal, resolve
from features.spark.names import columns_named
from tests.features import lake


@pytest.fixture(scope="module")
def rows(spark):
    """Columns whose names and values are those that mean the present elsewhere."""
    return spark.createDataFrame([], "ts string, now string, plays int, tags array<string>")


@pytest.mark.parametrize(
    "sql",
    [
        "rand()",
        "rand(5)",
        "uuid()",
        "shuffle(tags)",
        "transform(tags, tag -> concat(tag, rand()))",
        "now()",
        "current_timestamp()",
        "date_trunc('day', current_timestamp)",
        "current_date()",
        "unix_timestamp()",
        "localtimestamp()",
        "current_user()",
        "input_file_name()",
        "monotonically_increasing_id()",
        "timestamp 'now'",
        'date"Today" > ts',
        "cast('yesterday' as date)",
        "to_date('today')",
        "to_timestamp(' now ') > ts",
        "datediff(ts, 'tomorrow')",
        "reflect('java.util.UUID', 'randomUUID')",
    ],
)
def test_lots_and_the_clock_are_found(rows, sql):
    assert refusal(rows, ["plays + 1", sql]) == RUN_DEPENDENT


def test_columns_and_constants_alone_give_the_same_again(rows):
    assert not refusal(
        rows,
        [
            "now",
            "cast(now as timestamp)",
            "to_date(ts)",
            "unix_timestamp(ts)",
            "tags[0] = 'today'",
            "ts < '2026-03-01'",
            "date '2026-03-01'",
            "from_utc_timestamp(ts, 'Europe/Stockholm')",
            "array_sort(transform(tags, tag -> xxhash64(tag)))",
        ],
    )
    assert not refusal(rows, [])


def test_features_are_checked_on_the_columns_that_the_join_gives(spark):
    settings = lake.config(lake.Path("-"))["sources"]
    settings["entities"]["user"]["columns"]["available_at"] = "known"
    sources = Sources.model_validate(settings)
    impressions = spark.createDataFrame([], "impression_id string, user_id string, campaign_id long, ts timestamp")
    tables = {
        "user": spark.createDataFrame([], "user_id string, ts string, plan string, plays double, available_at string"),
        "campaign": spark.createDataFrame([], "campaign_id string, advertiser array<int>"),
    }
    joined = join_entities(impressions, tables, sources, [date(2026, 1, 1)]).frame
    empty = unjoined(impressions, tables, sources)
    assert [(field.name, field.dataType.simpleString()) for field in empty.schema] == [
        (field.name, field.dataType.simpleString()) for field in joined.schema
    ]


# Functions of Spark's registry that are refused, but for aggregates, windows and generators: what draws lots, reads the
# clock, the user, the file or the task, calls Java, or reads files.
REFUSED = re.findall(
    r"\w+",
    """
aes_encrypt curdate current_catalog current_database current_date current_schema current_timestamp current_timezone
current_user input_file_block_length input_file_block_start input_file_name java_method json_tuple
localtimestamp monotonically_increasing_id now rand randn random randstr reflect session_user shuffle spark_partition_id
try_reflect uniform user uuid version
""",
)
# These read the clock only where they have no argument, or a zone where none is named.
CLOCK_WITHOUT_ARGUMENTS = ("convert_timezone", "to_unix_timestamp", "unix_timestamp")
CASTS = (
    "bigint",
    "binary",
    "boolean",
    "date",
    "decimal",
    "double",
    "float",
    "int",
    "smallint",
    "string",
    "timestamp",
    "tinyint",
)
OF_OTHER_ROWS = ("agg_funcs", "window_funcs", "generator_funcs")
# These have no example that stands alone; those of sketches are allowed, the others are not.
WITHOUT_EXAMPLE = re.findall(
    r"\w+",
    """from_avro from_protobuf hll_sketch_estimate hll_union schema_of_avro schema_of_variant_agg session_window
    to_avro to_protobuf window window_time""",
)


def registered(spark):
    """Each function of Spark's registry with its group and the examples that are expressions alone."""
    registry = spark._jsparkSession.sessionState().functionRegistry()
    named, names = spark._jvm.org.apache.spark.sql.catalyst.FunctionIdentifier, registry.listFunction().iterator()
    while names.hasNext():
        name = names.next().funcName()
        info = registry.lookupFunction(named(name)).get()
        examples = re.findall(r"> SELECT (.*?);\s*$", info.getExamples(), re.MULTILINE | re.DOTALL)
        yield name, info.getGroup(), [sql for sql in examples if not re.search(r"\bFROM\s+(?:VALUES|\()", sql)]


@pytest.mark.slow
def test_the_list_of_what_is_allowed_is_held_against_sparks_registry(spark, rows):
    """A new version of Spark has other functions: each is to be looked at."""
    wrong, without = {}, set()
    for name, group, examples in registered(spark):
        reasons = []
        for sql in examples:
            with contextlib.suppress(AnalysisException):
                reasons.append(refusal(rows, [sql]))
        if group in OF_OTHER_ROWS:
            wrong |= {name: reasons} if not all(reasons) else {}
        elif not reasons:
            without.add(name)
        elif any(reasons) != (name in REFUSED) and not (name in CLOCK_WITHOUT_ARGUMENTS and not all(reasons)):
            wrong[name] = reasons
    assert wrong == {}
    assert without - set(CASTS) == set(WITHOUT_EXAMPLE)


def test_the_check_without_spark_takes_no_word_of_sql_for_a_column(spark):
    """None of Spark's own examples names a column; an alias beside what it names is no expression of one column."""
    named = {sql: columns_named(sql) for _, _, examples in registered(spark) for sql in examples}
    assert len(named) > 700
    assert [sql for sql, names in named.items() if names and not re.search(r"\bAS S\b", sql)] == []


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("max(plays)", OTHER_ROWS.format("an aggregate")),
        ("plays / sum(plays) over (partition by ts)", OTHER_ROWS.format("a window")),
        ("row_number() over (order by ts)", OTHER_ROWS.format("a window")),
        ("lag(plays) over (partition by now order by ts)", OTHER_ROWS.format("a window")),
        ("explode(tags)", MANY_ROWS),
        ("aes_encrypt(ts, '0000111122223333')", "uses AesEncrypt, which is none of the functions of the columns"),
    ],
)
def test_what_sees_other_rows_or_draws_lots_of_its_own_is_refused(rows, sql, reason):
    assert refusal(rows, [sql]).startswith(reason)
    with pytest.raises(InputError, match=rf"^here: 'x: {re.escape(sql)}' {re.escape(reason)}"):
        resolve(rows, {"y": "plays", "x": sql}, "here")


@pytest.mark.parametrize(
    "sql",
    [
        "(select max(value) from text.`{}`)",
        "ts in (select value from text.`{}`)",
        "exists(select 1 from text.`{}`)",
        "plays + (from text.`{}` |> aggregate count(*))",
    ],
)
def test_a_subquery_is_refused_before_the_file_that_it_names_is_looked_for(rows, tmp_path, sql):
    asked = sql.format(tmp_path / "no such file")
    with pytest.raises(InputError, match=r"^here: 'x: .* has a subquery, which could read any file"):
        resolve(rows, {"x": asked}, "here")
    assert not has_subquery(rows.sparkSession, "plays +")


def test_a_word_for_the_present_is_found_however_many_expressions_there_are(rows):
    assert refusal(rows, ["plays"] * 40 + ["to_date('today')"]) == RUN_DEPENDENT
    many = ", ".join(["plays"] * 40)
    assert refusal(rows, [f"struct({many}, cast('now' as timestamp))"]) == RUN_DEPENDENT


def test_ordinary_expressions_are_allowed(rows):
    assert not refusal(
        rows,
        [
            "case when plays > 3 then 'many' when plays is null then null else 'few' end",
            "try_cast(ts as timestamp) - interval 1 day",
            "date_add(try_cast(ts as date), plays)",
            "map('a', plays)['a'] + named_struct('b', 1).b + element_at(tags, -1)",
            "aggregate(transform(tags, tag -> length(tag)), 0, (total, one) -> total + one)",
            "filter(tags, tag -> tag rlike 'x' or tag like any ('a%', 'b%'))[0]",
            "from_json(ts, 'a int, b array<struct<c: string>>').b.c",
            "timestampdiff(hour, try_cast(ts as timestamp), timestamp '2026-01-01')",
            "xxhash64(ts, plays) % 10 = cast(plays as decimal(10, 2)) / 3",
            "coalesce(nullif(ts, ''), if(plays between 1 and 3, 'a', 'b')) || '-' || now",
        ],
    )
