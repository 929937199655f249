"""SQL expressions of the configuration: resolved over the columns of a table, and judged repeatable."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from pyspark.errors import AnalysisException
from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from camoe.contracts.errors import CamoeError, InputError
from features.spark.failures import first_line

# Texts that Spark takes for the present time where it makes a date or a time stamp of a constant.
PRESENT = r"(?:now|today|yesterday|tomorrow)\b"
TYPED = re.compile(rf"\b(?:date|timestamp\w*)\s*['\"]\s*{PRESENT}", re.IGNORECASE)
CONVERTED = re.compile(rf"\(\s*{PRESENT}[^()#]*(?: as (?:date|timestamp)|, None, )", re.IGNORECASE)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
# Names that Spark takes for functions where there is no such column; `user` would be who runs the job.
FUNCTION_WORD = re.compile(
    r"(?<![.\w`])(user|session_user|current_(?:user|date|timestamp|time|catalog|database|schema)|localtimestamp)\b(?!\s*\()"
)


def run_dependent(rows: DataFrame, expressions: Collection[str]) -> bool:
    """Return whether one of the SQL `expressions` draws random numbers or reads the clock, user, file or task.

    All of them parse and resolve over the columns of `rows`; nothing is computed.
    """
    if not expressions:
        return False
    # Over rows that come from nowhere, so that only what the expressions do is looked at.
    leaf = rows.sparkSession.createDataFrame([], rows.schema)
    plan = leaf.select(*[F.expr(sql) for sql in expressions])._jdf.queryExecution().analyzed()
    patterns = rows.sparkSession._jvm.org.apache.spark.sql.catalyst.trees.TreePattern  # type: ignore[union-attr]
    if not plan.deterministic() or plan.containsPattern(patterns.CURRENT_LIKE()):
        return True
    return any(TYPED.search(sql) for sql in expressions) or bool(CONVERTED.search(plan.toString()))


def resolve(
    frame: DataFrame, expressions: Mapping[str, str], where: str, kind: type[CamoeError] = InputError, there: str = ""
) -> dict[str, Column]:
    """Resolve SQL expressions by name as columns of `frame`; `there` lists its columns for errors (default: by name).

    Raises:
        CamoeError: of the given kind; one does not parse, names a column that `frame` lacks, or is run-dependent.
    """
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
    if run_dependent(frame, expressions.values()):
        name = next(name for name, sql in expressions.items() if run_dependent(frame, [sql]))
        raise kind(
            f"{where}: '{name}: {expressions[name]}' draws lots or reads the clock or another circumstance of the run, "
            "so the same input would not give the same rows again; use columns of the input only"
        )
    return columns


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


def _references(plan: object) -> Iterator[str]:
    children = plan.children()  # type: ignore[attr-defined]
    if not children.size():
        return
    expressions = plan.expressions()  # type: ignore[attr-defined]
    for position in range(expressions.size()):
        found = expressions.apply(position).references().toSeq()
        yield from (str(found.apply(index).name()) for index in range(found.size()))
    for position in range(children.size()):
        yield from _references(children.apply(position))
