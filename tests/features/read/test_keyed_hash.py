"""Keyed hashes: the same identifier gives the same hash in every table, and nothing that is written holds it."""

from __future__ import annotations

import hashlib
import hmac
import os
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pyspark.sql import functions as F

from camoe.contracts.errors import ConfigError
from camoe.contracts.sources import KeyedHash, Sources
from features.read.hash_key import read_key
from features.read.keyed_hash import hasher, require_hidden
from features.spark.expressions import columns_read
from features.spark.keys import as_text
from features.spark.session import QUOTING_LOGGERS
from tests.features import lake
from tests.paths import ROOT

KEY = "0123456789abcdef-secret"


def expected(text):
    return hmac.new(KEY.encode(), text.encode(), hashlib.sha256).hexdigest()[:32]


def test_the_hash_is_that_of_the_text_whatever_the_type(spark):
    text_of = {
        "'u1'": "u1",
        "7": "7",
        "cast(7 as double)": "7",
        "cast(7 as decimal(10, 2))": "7",
        "cast(1e15 as double)": "1000000000000000",
        "'é☃'": "é☃",
        "cast(null as string)": None,
    }
    frame = spark.range(1).select(*[F.expr(value).alias(value) for value in text_of])
    of_key = hasher(KEY.encode())
    hashed = [of_key(as_text(frame[f"`{field.name}`"], field.dataType)).alias(field.name) for field in frame.schema]
    assert frame.select(*hashed).first().asDict() == {
        value: None if text is None else expected(text) for value, text in text_of.items()
    }


def test_the_key_is_in_no_plan(spark):
    frame = spark.range(1).select(hasher(KEY.encode())(F.lit("u1")).alias("id"))
    plan = frame._jdf.queryExecution().toString()
    assert "keyed_hash" in plan
    assert KEY not in plan


@pytest.mark.parametrize(("key", "message"), [(None, "holds no key"), ("short", "has 5 bytes, fewer than 16")])
def test_a_missing_or_short_key_is_refused_without_telling_it(monkeypatch, key, message):
    monkeypatch.delenv("SOME_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("SOME_KEY", key)
    with pytest.raises(ConfigError, match=rf"SOME_KEY.*{message}|{message}.*SOME_KEY|SOME_KEY {message}") as refused:
        read_key(KeyedHash(columns=("user_id",), key_env="SOME_KEY"))
    assert "short;" not in str(refused.value)


def test_the_columns_that_an_expression_reads_are_those_of_its_analysis(spark):
    raw = spark.createDataFrame([], "id string, person struct<id: string, age: int>, Ts string, tags array<string>")
    reads = {
        "concat(id, '-', person.id)": {"id", "person"},
        "transform(tags, tag -> concat(tag, TS))": {"tags", "Ts"},
        "sha2(to_json(struct(*)), 256)": {"id", "person", "Ts", "tags"},
        "row_number() over (partition by id order by ts)": {"id", "Ts"},
        "'constant'": set(),
    }
    assert {sql: set(columns_read(raw, {"it": sql})) for sql in reads} == reads


def test_a_column_that_would_carry_what_is_hidden_is_to_be_listed(spark):
    raw = spark.createDataFrame([], "user string, ad string")
    plain = {"campaign_id": "ad", "impression_id": "concat(user, '-', ad)"}
    with pytest.raises(ConfigError, match=r"'impression_id: concat.*reads the column user.*add impression_id to"):
        require_hidden(raw, {"user_id": "user"}, plain)
    require_hidden(raw, {"user_id": "user", "impression_id": plain["impression_id"]}, {"campaign_id": "ad"})
    with pytest.raises(ConfigError, match=r"'campaign_id: ad' reads the column ad.*map the identifier by itself"):
        require_hidden(raw, {"impression_id": plain["impression_id"]}, {"campaign_id": "ad"})


@pytest.mark.parametrize(("column", "message"), [("user", "which no table maps"), ("ts", "ts cannot be hashed")])
def test_a_column_that_is_not_mapped_or_is_computed_with_is_refused(tmp_path, column, message):
    settings = {**lake.config(tmp_path)["sources"], "keyed_hash": {"columns": [column]}}
    with pytest.raises(ValueError, match=message):
        Sources.model_validate(settings)


def test_executors_are_given_a_logging_that_is_silent_where_the_driver_is(spark):
    """As log4j reads the file; the configurations for clusters name it."""
    file = ROOT / "conf/spark/log4j2.properties"
    java = spark.sparkContext._jvm
    core = java.org.apache.logging.log4j.core
    source = core.config.ConfigurationSource(java.java.io.FileInputStream(str(file)), java.java.io.File(str(file)))
    factory = core.config.properties.PropertiesConfigurationFactory()
    logging = factory.getConfiguration(core.LoggerContext.getContext(False), source)
    logging.initialize()
    silent = {name for name, logger in logging.getLoggers().items() if logger.getLevel().toString() == "OFF"}
    assert silent == set(QUOTING_LOGGERS)
    for name in ("yarn.conf", "kubernetes.conf"):
        lines = (ROOT / "conf/spark" / name).read_text().splitlines()
        options = dict(line.split(None, 1) for line in lines if not line.startswith("#"))
        assert options["spark.executor.extraJavaOptions"].endswith(file.name)


def private_lake(folder):
    """A lake whose user ids can be told from any other text, in columns, in a damaged row and in impression ids."""
    impressions = [{**row, "user": f"person-{row['user']}"} for row in lake.impressions()]
    impressions[:0] = [{**impressions[0], "id": "bad", "slot": "roof"}, {**impressions[1], "id": "worse", "ts": "noon"}]
    users = [{**row, "user": f"person-{row['user']}"} for row in lake.users()]
    file = lake.write_lake(folder, impressions=impressions, users=users)
    log = folder / "raw/impressions.json"
    log.write_text(log.read_text() + '{"id": "cut", "user": "person-u1", "campaign": \n')
    settings = lake.config(folder)
    sources = settings["sources"]
    sources["impressions"]["columns"]["impression_id"] = "concat(user, '/', id)"
    sources["outcomes"]["columns"]["impression_id"] = (
        "concat('person-u', cast(substring_index(id, '-', -1) as int) % 7, '/', id)"
    )
    sources["keyed_hash"] = {"columns": ["user_id", "impression_id"]}
    lake.write_config(folder, settings)
    return file


def submit(folder, *arguments, **environment):
    """The real job as a process of its own: (exit code, everything it printed)."""
    done = subprocess.run(
        [
            *(str(Path(sys.executable).with_name("spark-submit")), "--properties-file", "conf/spark/local.conf"),
            *("jobs/build_features.py", "--config", str(folder / "config.yaml"), *arguments),
        ],
        env={**os.environ, "PYSPARK_PYTHON": sys.executable, **environment},
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def holding(folder, text):
    """Files under `folder` that hold `text`, the rows of parquet files included."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            content = path.read_bytes()
            if path.suffix == ".parquet":
                content += repr(pq.ParquetFile(path).read().to_pylist()).encode()
            if text.encode() in content:
                found.append(path)
    return found


def require_hidden_rows(spark, folder, printed):
    """Check that the private lake was joined by hashes, and that nothing printed or written tells what was hashed."""
    for secret in ("person-u", KEY):
        assert secret not in printed
        assert holding(folder / "out", secret) == []
    rows = lake.training(spark, folder)
    assert len(rows) == len(lake.impressions())
    clean = lake.impressions()[5]
    row = rows[expected(f"person-{clean['user']}/{clean['id']}")]
    assert (row.user_id, row.num_plays, row.label_click) == (expected(f"person-{clean['user']}"), 5.0, 1)
    refused = lake.quarantine(spark, folder)
    assert sorted(row.reasons for row in refused) == [["corrupt_record"], ["unknown_slot"], ["unparsable_ts"]]
    assert holding(folder / "raw", "person-u1")


def test_the_build_joins_by_hashes_and_leaves_no_identifier_and_no_key_anywhere(spark, tmp_path, monkeypatch, capfd):
    monkeypatch.setenv("CAMOE_HASH_KEY", KEY)
    assert lake.run_job(private_lake(tmp_path)) == 0
    said = capfd.readouterr()
    require_hidden_rows(spark, tmp_path, said.out + said.err)


@pytest.mark.slow
def test_the_job_says_no_identifier_and_no_key_as_a_process_either(spark, tmp_path):
    """With what Spark itself logs, at the shipped levels."""
    private_lake(tmp_path)
    code, printed = submit(tmp_path, CAMOE_HASH_KEY=KEY)
    assert code == 0, printed
    require_hidden_rows(spark, tmp_path, printed)


@pytest.mark.slow
@pytest.mark.spark
def test_a_failing_job_tells_no_identifier(tmp_path):
    private_lake(tmp_path)
    users = [{"user": "person-u1", "plan": "free", "plays": "many", "ts": "2026-01-01"}, *lake.users()]
    lake.write(tmp_path / "raw/users.json", users)
    settings = lake.config(tmp_path)
    settings["sources"]["impressions"]["columns"]["user_id"] = "cast(user as int)"
    lake.write_config(tmp_path, settings)
    code, printed = submit(tmp_path)
    assert code == 2
    assert 'a value of the type "STRING" cannot be cast to "INT" in: cast(user as int)' in printed
    assert "person-u" not in printed
