"""Object stores: wrong files and addresses are refused in the words of the local disk, and credentials stay secret."""

from __future__ import annotations

import pytest

from camoe.contracts.errors import SnapshotError, StreamError
from camoe.contracts.snapshot import is_delta_table, logged, pin
from camoe.contracts.storage import delta_options, location_of, open_storage, path_of
from camoe.stream.ledger import Ledger
from camoe.stream.stream import ReadOptions, stream
from tests.object_store import KEY_ID, SECRET, TOKEN, always
from tests.stream.blocks import ONE, delivered, plan_of
from tests.stream.lake import COLUMNS, write_table

FILES = [(slot, day, [40, 30]) for slot in range(2) for day in range(2)]
REMOTE = "s3://lake/tables/t"


@pytest.fixture
def own(write):
    """A table of this test alone, for it to damage."""
    return write(FILES)


def replace_file(location, change):
    """`change` the content of one file, or delete it where that gives None."""
    files, path = open_storage(location).filesystem, path_of(location)
    with files.open_input_file(path) as file:
        content = change(file.read())
    if content is None:
        files.delete_file(path)
    else:
        with files.open_output_stream(path) as file:
            file.write(content)


def test_a_vacuumed_file(store, own):
    replace_file(pin(own).files[2].path, lambda _content: None)
    store.lines.clear()
    with pytest.raises(SnapshotError, match=r"version 0 names part-0002.parquet, which is gone \(vacuumed\?\); pin a"):
        pin(own)
    assert len([line for line in store.lines if "HEAD" in line and "part-0002" in line]) == 1


def test_a_truncated_file(store, own):
    victim = pin(own).files[2].path
    replace_file(victim, lambda content: content[:-100])
    with pytest.raises(SnapshotError, match=rf"{victim} of {own} version 0 is damaged .*; rebuild its day"):
        pin(own)


def test_a_file_whose_rows_are_not_those_of_the_log(store, own, tmp_path):
    """The log tells before training, the plan while it reads."""
    plan = plan_of(own)
    shorter = next(write_table(tmp_path / "shorter", [(0, 0, [9])]).rglob("*.parquet")).read_bytes()
    replace_file(plan.snapshot.files[2].path, lambda _content: shorter)
    with pytest.raises(SnapshotError, match=r"part-0002.parquet holds 9 rows, the log of .* says 70; rebuild its day"):
        pin(own)
    with pytest.raises(StreamError, match=r"part-0002.parquet, row group [01]"):
        delivered(plan)


@pytest.mark.parametrize(
    "change",
    [
        lambda _content: None,
        lambda content: content[: len(content) // 2],
        lambda content: content[:4] + bytes(500) + content[504:],
    ],
    ids=["gone", "short", "a page"],
)
def test_a_wrong_file_is_not_tried_again(store, own, change):
    plan = plan_of(own)
    replace_file(plan.snapshot.files[2].path, change)
    said = []
    with pytest.raises(StreamError, match=r"part-0002.parquet, row group [01] cannot be read: .*; rebuild its day"):
        for _ in stream(plan, COLUMNS, ONE, ReadOptions(2, 30, said.append), ledger=Ledger()):
            pass
    assert not [text for text in said if "Timeout was reached" not in text]


def test_no_table_there(store):
    with pytest.raises(SnapshotError, match=r"no Delta table at s3://lake/none; run jobs/build_features.py first"):
        logged("s3://lake/none")
    with pytest.raises(SnapshotError, match=r"no Delta table at s3://elsewhere/t; run jobs/build_features.py first"):
        logged("s3://elsewhere/t")
    with pytest.raises(SnapshotError, match=f"it is a part of {REMOTE}: give that table"):
        logged(f"{REMOTE}/modality=m0/slot=s0")
    with pytest.raises(SnapshotError, match=r"t version 7 cannot be read .*; choose a version that the log still has"):
        logged(REMOTE, 7)


@pytest.mark.parametrize(
    ("read", "part"),
    [
        (lambda _plan: pin(REMOTE), "GET /lake?"),
        (lambda _plan: pin(REMOTE), "_last_checkpoint"),
        (lambda _plan: is_delta_table(REMOTE), "_last_checkpoint"),
        (lambda _plan: pin(REMOTE), "GET /lake/tables/t/modality%3Dm1/slot%3Ds1/date%3D2026-01-01"),
        (delivered, "GET /lake/tables/t/modality%3Dm1/slot%3Ds1/date%3D2026-01-01"),
    ],
    ids=["listing", "log", "whether there is one", "footer", "row group"],
)
def test_a_refusal_tells_of_credentials_without_telling_them(store, read, part, capfd, caplog):
    """The store answers with all that it was sent."""
    plan = plan_of(REMOTE)
    refusal = "403 InvalidAccessKeyId"
    store.fault = always(refusal, part)
    caplog.set_level("DEBUG")
    with pytest.raises((SnapshotError, StreamError)) as caught:
        read(plan)
    assert store.done
    assert "look at the address, region, credentials and rights" in str(caught.value)
    told = [str(caught.value), repr(caught.value.__cause__), *capfd.readouterr(), caplog.text]
    for secret in (KEY_ID, SECRET, TOKEN):
        assert not any(secret in text for text in told)


@pytest.mark.parametrize(
    "address", [f"s3://{KEY_ID}:{SECRET}@lake/t", f"s3://lake/t?secret_key={SECRET}", f"ftp://me:{SECRET}@host/t", "s3://"]
)  # fmt: skip
def test_an_address_that_holds_credentials_or_is_none_is_not_repeated(address):
    with pytest.raises(SnapshotError, match="lies at a local path or at s3://bucket/path") as caught:
        logged(address)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    ("endpoint", "message"),
    [
        (f"http://me:{SECRET}@host", "without user"),
        ("localhost:9000", "must read http"),
        ("http://host/s3", "and no path"),
        ("http://host", "AWS_ALLOW_HTTP=true"),
    ],
)
def test_an_endpoint_that_is_not_safe(monkeypatch, endpoint, message):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    monkeypatch.delenv("AWS_ALLOW_HTTP", raising=False)
    with pytest.raises(SnapshotError, match=message) as caught:
        logged(REMOTE)
    assert SECRET not in str(caught.value)


def test_local_addresses(tmp_path):
    assert location_of(f"file://{tmp_path}/t") == location_of(tmp_path / "x/../t") == str(tmp_path.resolve() / "t")
    assert location_of(f"file:{tmp_path}/t") == location_of(f"file://{tmp_path}/t")
    assert delta_options(str(tmp_path)) is None
    assert not open_storage(str(tmp_path)).remote
    table = write_table(tmp_path / "t", FILES)
    assert pin(f"file://{table}") == pin(table)
