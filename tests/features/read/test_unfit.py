"""Sound files that Spark reads otherwise than they are meant, or not at all: read right, or refused with the remedy."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import tarfile
import zipfile
from datetime import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from camoe.contracts.errors import InputError
from features.read.raw import RAW, read_impressions
from tests.features.read.logs import COLUMNS, WINDOW, as_csv, as_json, as_table, parquet_file, row, write_log

TEXT = as_csv([row(0)])


def zipped(text):
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w") as file:
        file.writestr("a.csv", text)
    return held.getvalue()


def archived(text):
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as file:
        entry = tarfile.TarInfo("a.csv")
        entry.size = len(text)
        file.addfile(entry, io.BytesIO(text))
    return held.getvalue()


NOT_READ = {
    "a.csv.zst": (pa.Codec("zstd").compress(TEXT, asbytes=True), "zstd"),
    "a.csv.lz4": (pa.Codec("lz4").compress(TEXT, asbytes=True), "lz4"),
    "a.csv": (pa.Codec("lz4").compress(TEXT, asbytes=True), "lz4"),
    "a.csv.xz": (lzma.compress(TEXT), "xz"),
    "a.csv.zip": (zipped(TEXT), "zip"),
    "a.tar.gz": (archived(TEXT), "tar|gzip"),
    "a.csv.snappy": (TEXT, "snappy"),
}


@pytest.mark.parametrize("name", NOT_READ)
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_a_compression_that_spark_does_not_read_is_named_with_those_that_it_reads(spark, tmp_path, kind, name):
    content, compression = NOT_READ[name]
    sources = write_log(tmp_path, kind, {name: content})
    with pytest.raises(InputError, match=rf"{name} is compressed as ({compression}), which .*gzip \(\.gz\), as bzip2"):
        read_impressions(spark, tmp_path, sources, WINDOW)


def test_a_compression_that_the_name_does_not_tell_is_named(spark, tmp_path):
    sources = write_log(tmp_path, "csv", {"a.csv": gzip.compress(TEXT)})
    with pytest.raises(InputError, match=r"a\.csv is compressed as gzip, which Spark sees by the name alone"):
        read_impressions(spark, tmp_path, sources, WINDOW)


def test_gzip_and_bzip2_are_read(spark, tmp_path):
    files = {"a.csv.gz": gzip.compress(as_csv([row(0)])), "b.csv.bz2": bz2.compress(as_csv([row(1)]))}
    assert read_impressions(spark, tmp_path, write_log(tmp_path, "csv", files), WINDOW).count() == 2


@pytest.mark.parametrize("zone", ["UTC", None])
def test_timestamps_of_nanoseconds_are_read_whether_anything_reads_them_or_not(spark, tmp_path, zone):
    micros = [1_767_261_600_123_456, -1, None]
    nanos = pa.array([one and one * 1000 + 1 for one in micros]).cast(pa.timestamp("ns", zone))
    table = as_table([row(number) for number in range(3)]).append_column("t`s", nanos).append_column("other", nanos)
    sources = write_log(tmp_path, "parquet", {"a.parquet": parquet_file(table)}, columns={**COLUMNS, "ts": "`t``s`"})
    rows = read_impressions(spark, tmp_path, sources, WINDOW).orderBy("impression_id")
    found = rows.select(F.unix_micros(F.col("ts").cast("timestamp")).alias("micros"), RAW).collect()
    assert [one.micros for one in found] == micros
    assert json.loads(found[0][RAW])["other"].startswith("2026-01-01T10:00:00.123456")


def test_nanoseconds_within_a_column_and_times_of_day_are_refused_with_the_remedy(spark, tmp_path):
    lists = as_table([row(0)]).append_column("seen", pa.array([[1]], pa.list_(pa.timestamp("ns"))))
    times = as_table([row(0)]).append_column("at", pa.array([1], pa.time64("us")))
    for number, (table, said) in enumerate(
        ((lists, r"nanoseconds within seen\S*, .*coerce_timestamps"), (times, "at,"))
    ):
        (tmp_path / str(number)).mkdir()
        sources = write_log(tmp_path / str(number), "parquet", {"a.parquet": parquet_file(table)})
        with pytest.raises(InputError, match=said):
            read_impressions(spark, tmp_path / str(number), sources, WINDOW)


def test_old_timestamps_of_96_bits_are_no_nanoseconds(spark, tmp_path):
    table = as_table([row(0)]).append_column("when", pa.array([datetime(2026, 1, 1, 10)], pa.timestamp("us", "UTC")))
    held = io.BytesIO()
    pq.write_table(table, held, use_deprecated_int96_timestamps=True)
    sources = write_log(tmp_path, "parquet", {"a.parquet": held.getvalue()}, columns={**COLUMNS, "ts": "when"})
    assert read_impressions(spark, tmp_path, sources, WINDOW).schema["ts"].dataType.typeName() == "timestamp"


@pytest.mark.parametrize("kind", ["csv", "json"])
def test_columns_of_any_name_are_read(spark, tmp_path, kind):
    names = {"_metadata": "m", "a`b": "b", "a.b": "c", "date": "d", "é ü": "e"}
    one = row(0, **names)
    content = as_csv([one], tuple(one)) if kind == "csv" else as_json([one])
    sources = write_log(tmp_path, kind, {f"x=1/a.{kind}": content}, columns={**COLUMNS, "user_id": "`a``b`"})
    (found,) = read_impressions(spark, tmp_path, sources, WINDOW).collect()
    assert found.user_id == "b"
    assert {name: json.loads(found[RAW])[name] for name in names} == names
    assert json.loads(found[RAW])["x"] == "1"
