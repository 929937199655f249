"""SQL expressions of the configuration: resolved over the columns of a table; each sees one row and is repeatable."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, cast

from pyspark.errors import AnalysisException, ParseException
from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from camoe.contracts.errors import CamoeError, InputError
from features.spark.allowed import ALLOWED
from features.spark.failures import first_line

# Texts that Spark takes for the present time where it makes a date or a time stamp of a constant.
PRESENT = r"(?:now|today|yesterday|tomorrow)\b"
TYPED = re.compile(rf"\b(?:date|timestamp\w*)\s*['\"]\s*{PRESENT}", re.IGNORECASE)
SPOKEN_OF = re.compile(rf"['\"]\s*{PRESENT}", re.IGNORECASE)
CONVERTED = re.compile(
    rf"CAST\('\s*{PRESENT}[^']*' AS (?:DATE|TIMESTAMP)|to_(?:date|timestamp\w*)\('\s*{PRESENT}", re.IGNORECASE
)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
# Names that Spark takes for functions where there is no such column; `user` would be who runs the job.
FUNCTION_WORD = re.compile(
    r"(?<![.\w`])(user|session_user|current_(?:user|date|timestamp|time|catalog|database|schema)|localtimestamp)\b(?!\s*\()"
)


SUBQUERY = "has a subquery, which could read any file and see other rows; use columns of the row itself"
OTHER_ROWS = (
    "has {}, so it would see other rows, also later ones, and its value would depend on the days that are built "
    "together; use columns of the row itself, or declare counts and rates of earlier rows as features.history"
)
RUN_DEPENDENT = (
    "draws lots or reads the clock or another circumstance of the run, so the same input would not give the same rows "
    "again; use columns of the input only"
)
MANY_ROWS = "makes several rows of one; take an element, or join them into one value"
NODES = frozenset(("Project", "LogicalRDD", "LocalRelation"))


def refusal(rows: DataFrame, expressions: Collection[str]) -> str:
    """Return why one of the SQL `expressions` is refused: empty unless it sees other rows or is not repeatable.

    All of them parse and resolve over the columns of `rows`; nothing is computed.
    """
    if not expressions:
        return ""
    # Over rows that come from nowhere, so that only what the expressions do is looked at.
    leaf = rows.sparkSession.createDataFrame([], rows.schema)
    plan = leaf.select(*[F.expr(sql) for sql in expressions])._jdf.queryExecution().analyzed()
    used = frozenset(_classes(json.loads(plan.toJSON())))
    others = sorted(used - ALLOWED - NODES)
    tested = (
        ("Window" in used, OTHER_ROWS.format("a window")),
        ("Aggregate" in used, OTHER_ROWS.format("an aggregate")),
        ("Generate" in used, MANY_ROWS),
        (not plan.deterministic() or plan.containsPattern(_patterns(rows.sparkSession).CURRENT_LIKE()), RUN_DEPENDENT),
        (any(_converts_the_present(leaf, sql) for sql in expressions), RUN_DEPENDENT),
        (others, f"uses {''.join(others[:1])}, which is none of the functions of the columns of one row"),
    )
    return next((reason for holds, reason in tested if holds), "")


def _classes(tree: object) -> Iterator[str]:
    """Yield the classes of the nodes of a plan and of their expressions."""
    if isinstance(tree, list):
        for one in tree:
            yield from _classes(one)
    elif isinstance(tree, dict):
        if isinstance(tree.get("class"), str):
            yield tree["class"].rpartition(".")[2]
        for one in tree.values():
            yield from _classes(one)


def _patterns(spark: SparkSession) -> Any:
    return cast(Any, spark._jvm).org.apache.spark.sql.catalyst.trees.TreePattern


def _converts_the_present(leaf: DataFrame, sql: str) -> bool:
    """Return whether a date or a time stamp is made of a word for the present, also where Spark inserts the cast."""
    if not SPOKEN_OF.search(sql):
        return False
    (expression,) = _sequence(leaf.select(F.expr(sql))._jdf.queryExecution().analyzed().expressions())
    return bool(TYPED.search(sql) or CONVERTED.search(expression.sql()))


def _sequence(found: Any) -> Iterator[Any]:
    return (found.apply(place) for place in range(found.size()))


def has_subquery(spark: SparkSession, sql: str) -> bool:
    """Return whether the expression has a subquery; it is parsed only, so that no file that it names is touched.

    What does not parse has none.
    """
    try:
        parsed = spark._jsparkSession.sessionState().sqlParser().parseExpression(sql)
    except ParseException:
        return False
    return bool(parsed.containsPattern(_patterns(spark).PLAN_EXPRESSION()))


def resolve(
    frame: DataFrame, expressions: Mapping[str, str], where: str, kind: type[CamoeError] = InputError, there: str = ""
) -> dict[str, Column]:
    """Resolve SQL expressions by name as columns of `frame`; `there` lists its columns for errors (default: by name).

    Raises:
        CamoeError: of the given kind; one does not parse, names a column that `frame` lacks, sees other rows, or is not
            repeatable.
    """
    for name, sql in expressions.items():
        # Before anything is analysed, which would open the files that a subquery names.
        if has_subquery(frame.sparkSession, sql):
            raise kind(f"{where}: '{name}: {sql}' {SUBQUERY}")
    columns = {name: F.expr(sql).alias(name) for name, sql in expressions.items()}
    try:
        frame.select(*columns.values())
        wrong = {name: _function_word(frame, sql) for name, sql in expressions.items()}
    except AnalysisException:
        wrong = {name: _unresolved(frame, sql) for name, sql in expressions.items()}
    for name, reason in wrong.items():
        if reason:
            columns_there = there or ", ".join(frame.columns)
            raise kind(f"{where}: '{name}: {expressions[name]}': {reason}; the columns there are {columns_there}")
    if _may_be_refused(frame, expressions.values()):
        for name, sql in expressions.items():
            reason = refusal(frame, [sql])
            if reason:
                raise kind(f"{where}: '{name}: {sql}' {reason}")
    return columns


def _may_be_refused(frame: DataFrame, expressions: Collection[str]) -> bool:
    try:
        return bool(refusal(frame, expressions))
    except AnalysisException:
        # An aggregate beside columns: each resolves by itself.
        return True


def _unresolved(frame: DataFrame, sql: str) -> str:
    try:
        frame.select(F.expr(sql))
    except AnalysisException as error:
        return _why_unresolved(error)
    return _function_word(frame, sql)


def _function_word(frame: DataFrame, sql: str) -> str:
    """Return why `sql` is wrong where Spark takes a missing column's name for a function; empty where it is right."""
    there = {column.lower() for column in frame.columns}
    words = FUNCTION_WORD.findall(QUOTED.sub("", sql).lower())
    missing = next((word for word in words if word not in there), None)
    return f"there is no column `{missing}`" if missing else ""


def _why_unresolved(error: AnalysisException) -> str:
    if (error.getCondition() or "").startswith("UNRESOLVED_COLUMN"):
        return f"there is no column {(error.getMessageParameters() or {}).get('objectName')}"
    return first_line(error)


def columns_read(raw: DataFrame, expressions: Mapping[str, str]) -> frozenset[str]:
    """Return the columns of `raw` that the expressions read, according to Spark's analysis of them."""
    if not expressions:
        return frozenset()
    # Over rows that come from nowhere, every reference to a leaf is a column of the raw table.
    leaf = raw.sparkSession.createDataFrame([], raw.schema)
    plan = leaf.select(*[F.expr(sql) for sql in expressions.values()])._jdf.queryExecution().analyzed()
    names = frozenset(name.lower() for name in _references(plan))
    return frozenset(name for name in raw.columns if name.lower() in names)


def _references(plan: Any) -> Iterator[str]:
    children = list(_sequence(plan.children()))
    for expression in _sequence(plan.expressions()) if children else ():
        yield from (str(found.name()) for found in _sequence(expression.references().toSeq()))
    for child in children:
        yield from _references(child)
