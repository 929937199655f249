"""No secret is shown, and what is none is left as it is."""

from __future__ import annotations

import pytest

from camoe.contracts.shown.redaction import redacted, redacted_override, redacted_settings

PLANTED = "s3cr3t/pl@nted+1"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("error at https://ann:pw@mlflow:5000/a@b: 401", "error at https://mlflow:5000/a@b: 401"),
        ("GET http://store/x?sig=abc&se=9 failed", "GET http://store/x?*** failed"),
        ("option fs.s3a.secret.key=abc, sep=;", "option fs.s3a.secret.key=***, sep=;"),
        ("{'password': 'a b', header: true}", "{'password': ***, header: true}"),
        ("jdbc:x;Access_Key = abc;db=y", "jdbc:x;Access_Key = ***;db=y"),
        # What only looks like it.
        ("3 keys; author=7; monkey: 8; tokenless", "3 keys; author=7; monkey: 8; tokenless"),
        ("error: out/x: the bundle is missing; see docs?x", "error: out/x: the bundle is missing; see docs?x"),
    ],
)
def test_texts_tell_no_secret(text, shown):
    assert redacted(text) == shown


def test_secrets_of_the_environment_are_told_nowhere(monkeypatch):
    monkeypatch.setenv("ADS_HASH_KEY", PLANTED)
    monkeypatch.setenv("SOME_TOKEN", "short")
    assert redacted(f"cannot read {PLANTED}: in short") == "cannot read ***: in short"


@pytest.mark.parametrize(
    ("override", "shown"),
    [
        ("sources.impressions.options.password=a b", "sources.impressions.options.password=***"),
        ("sources.impressions.options={secret: ab, sep: x}", "sources.impressions.options={secret: ***, sep: x}"),
        ("training.tracking.uri=http://a:b@c", "training.tracking.uri=http://c"),
        ("training.batch_size=7", "training.batch_size=7"),
    ],
)
def test_overrides_tell_no_secret(override, shown):
    assert redacted_override(override) == shown


def test_settings_of_free_names_tell_no_secret_and_others_keep_their_values():
    sources = {"options": {"api.key": PLANTED, "sep": ";"}, "columns": {"token": "split(secret = 'x')"}, "n": [1, None]}
    assert redacted_settings({"impressions": sources}) == {
        "impressions": {**sources, "options": {"api.key": "***", "sep": ";"}}
    }
