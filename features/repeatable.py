"""Expressions that give other values for the same rows, when or where they are computed again."""

from __future__ import annotations

import re
from collections.abc import Collection

from pyspark.sql import DataFrame
from pyspark.sql import functions as F

# Texts that Spark takes for the present time where it makes a date or a time stamp of a constant.
PRESENT = r"(?:now|today|yesterday|tomorrow)\b"
TYPED = re.compile(rf"\b(?:date|timestamp\w*)\s*['\"]\s*{PRESENT}", re.IGNORECASE)
CONVERTED = re.compile(rf"\(\s*{PRESENT}[^()#]*(?: as (?:date|timestamp)|, None, )", re.IGNORECASE)


def run_dependent(rows: DataFrame, expressions: Collection[str]) -> bool:
    """Whether one of the SQL `expressions` over `rows` draws lots or reads the clock, the user, the file or the task.

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
