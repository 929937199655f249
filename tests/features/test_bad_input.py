"""Input that cannot be used: one clear message, and nothing is written."""

from __future__ import annotations

import re

import pytest

from tests.features import lake


def drop_path(folder, settings):
    (folder / "raw/users.json").unlink()


def rename_column(folder, settings):
    settings["sources"]["impressions"]["columns"]["campaign_id"] = "advert"


def add_key(folder, settings):
    settings["sources"]["impressions"]["colour"] = "red"


def drop_day(folder, settings):
    day = lake.DAYS[2]
    rows = [row for row in lake.impressions() if not row["ts"].startswith(day)]
    lake.write(folder / "raw/impressions.json", rows)


def spoil(folder, settings):
    rows = lake.impressions()
    lake.write(folder / "raw/impressions.json", rows[:80] + [{**row, "user": None} for row in rows[80:]])


def empty(folder, settings):
    lake.write(folder / "raw/campaigns.json", [])


def repeat_key(folder, settings):
    lake.write(folder / "raw/campaigns.json", lake.campaigns() * 2)


def respell_key(folder, settings):
    settings["sources"]["impressions"]["columns"]["campaign_id"] = "cast(replace(campaign, 'c', '') as int)"
    rows = [{"campaign": number, "advertiser": "a0"} for number in ("0", "1", "01", "2")]
    lake.write(folder / "raw/campaigns.json", rows)


def rename_objective(folder, settings):
    rows = [{**row, "kind": "Click"} for row in lake.outcomes()]
    lake.write(folder / "raw/outcomes.json", rows)


def mistake_format(folder, settings):
    settings["sources"]["entities"]["user"]["format"] = "parquet"


def clear(folder, settings):
    (folder / "raw/users.json").unlink()
    (folder / "raw/users.json").mkdir()


def drop_header(folder, settings):
    settings["sources"]["entities"]["user"]["format"] = "csv"


def leak(folder, settings):
    settings["sources"]["impressions"]["labels"] = {"liked": "id = 'i0-0'"}
    settings["features"]["numeric"][0]["sql"] = "label_liked"


def break_feature(folder, settings):
    settings["features"]["numeric"][0]["sql"] = "user.height"


def read_clock(folder, settings):
    settings["sources"]["entities"]["user"]["columns"]["ts"] = "coalesce(ts, now())"


def draw_lots(folder, settings):
    settings["sources"]["impressions"]["exclude"][0]["where"] = "rand() < 0.1"


def leak_the_time(folder, settings):
    settings["features"]["numeric"][0]["sql"] = "datediff(current_date(), ts)"
    # Told before the impressions are counted, which are too bad to be used.
    spoil(folder, settings)


def write_where_delta_cannot(folder, settings):
    settings["out"] = str(folder / "a%20b")


def name_a_zone_of_python_alone(folder, settings):
    settings["days"]["zone"] = "America/Coyhaique"


def break_cast(folder, settings):
    settings["sources"]["impressions"]["columns"]["user_id"] = "cast(user as int)"


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_path, r"user: .*raw/users\.json does not exist"),
        (
            rename_column,
            r"impressions at .*impressions\.json: 'campaign_id: advert'.*no column `advert`.*id, user, campaign",
        ),
        (add_key, r"config\.yaml: 'sources\.impressions\.colour': unknown key"),
        (drop_day, r"no usable impressions on 2026-01-03"),
        (spoil, r"40 of 120 .*null_user_id 40.*sources\.max_quarantined=0\.2"),
        (empty, r"campaigns\.json has no rows"),
        (repeat_key, r"campaigns\.json has several rows for 3 values of campaign_id"),
        (respell_key, r"campaigns\.json has several rows for 1 values of campaign_id"),
        (rename_objective, r"objective 'click' has no positive .*'Click' 24.*other_objective 24"),
        (mistake_format, r"user: cannot read .*users\.json as parquet.*that format in the sources"),
        (clear, r"user: cannot read .*users\.json.*no empty folder"),
        (drop_header, r"user at .*'plan: plan'.*the columns there are _c0, _c1"),
        (leak, r"'plays: label_liked': there is no column `label_liked`"),
        (break_feature, r"'plays: user\.height': user has no column `height`"),
        (read_clock, r"user at .*users\.json: 'ts: coalesce\(ts, now\(\)\)' draws lots or reads the clock"),
        (draw_lots, r"the exclusions of the impressions: 'house_ads: rand\(\) < 0\.1' draws lots"),
        (leak_the_time, r"the features: 'num_plays: datediff\(current_date\(\), ts\)' draws lots or reads the clock"),
        (
            write_where_delta_cannot,
            r"out=\S+a%20b: Spark and delta-rs.* read the character '%' of its path differently",
        ),
        (name_a_zone_of_python_alone, r"days\.zone: Java knows no time zone 'America/Coyhaique'"),
        (break_cast, r'cannot build from .*"STRING" cannot be cast to "INT" in: cast\(user as int\).*try_cast'),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_bad_input_gives_one_clear_message_and_writes_nothing(spark, tmp_path, capfd, damage, message):
    lake.write_lake(tmp_path)
    settings = lake.config(tmp_path)
    damage(tmp_path, settings)
    assert lake.run_job(lake.write_config(tmp_path, settings)) == 2
    (error,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.search(message, error)
    assert not (tmp_path / "out").exists()
