"""Rows that the driver holds, as a Spark table."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, cast

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import to_arrow_schema
from pyspark.sql.types import StructType


def held_rows(spark: SparkSession, rows: Collection[tuple[Any, ...]], schema: str) -> DataFrame:
    """Return `rows` with the columns of `schema`, a DDL string.

    They are handed over as Arrow: of a list Spark would make Python objects, in Python workers, whenever it is read.
    """
    kinds = to_arrow_schema(cast(StructType, StructType.fromDDL(schema)))
    columns = zip(*rows, strict=True) if rows else ((),) * len(kinds)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, kinds, strict=True)]
    return spark.createDataFrame(pa.Table.from_arrays(arrays, schema=kinds), schema)
