"""Write made-up rows in the layout of Alibaba's display-advertising logs, and a fourth table of daily prices.

python docs/examples/taobao_sample.py out/taobao-sample

Nothing here is Alibaba's data: names and types of the columns are those of the published files, the rows are drawn.
"""

from __future__ import annotations

import csv
import random
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

CHINA = timezone(timedelta(hours=8))
FIRST = datetime(2017, 5, 6, tzinfo=CHINA)
DAYS, ROWS, USERS, ADS = 8, 4000, 400, 120
POSITIONS = ("430548_1007", "430539_1007")


def users(draw: random.Random) -> list[tuple[object, ...]]:
    """Profiles; one user in ten has none, spending and city level are missing for half of them."""
    return [
        (
            number,
            draw.randrange(97),
            draw.randrange(13),
            draw.randint(1, 2),
            draw.randint(0, 6),
            draw.choice(("", "1", "2", "3")),
            draw.randint(1, 3),
            draw.randint(0, 1),
            draw.choice(("", "1", "2", "3", "4")),
        )
        for number in range(1, USERS + 1)
        if number % 10
    ]


def ads(draw: random.Random) -> list[tuple[object, ...]]:
    """Ad groups; one in five has no brand."""
    return [
        (
            number,
            draw.randrange(30),
            number // 3,
            number // 6,
            draw.choice(("NULL", 11, 12, 13, 14)),
            round(draw.lognormvariate(4, 1), 2),
        )
        for number in range(1, ADS + 1)
    ]


def prices(draw: random.Random, catalogue: Sequence[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """A price a day and ad, in force from midnight and known two hours later."""
    rows: list[tuple[object, ...]] = []
    for ad in catalogue:
        for day in range(DAYS):
            start = FIRST + timedelta(days=day)
            price = round(float(str(ad[5])) * draw.choice((1, 1, 1, 0.8, 0.5)), 2)
            rows.append((ad[0], start.isoformat(), (start + timedelta(hours=2)).isoformat(), price))
    return rows


def impressions(draw: random.Random, offers: Iterable[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Impressions of which discounted ads are clicked more often."""
    price = {(row[0], str(row[1])[:10]): float(str(row[3])) for row in offers}
    rows: list[tuple[object, ...]] = []
    for _ in range(ROWS):
        shown = FIRST + timedelta(seconds=draw.randrange(DAYS * 86400))
        ad = draw.randint(1, ADS)
        full = max(price[ad, (FIRST + timedelta(days=day)).date().isoformat()] for day in range(DAYS))
        discounted = price[ad, shown.date().isoformat()] < full
        clicked = int(draw.random() < (0.15 if discounted else 0.04))
        user = draw.randint(1, USERS)
        rows.append((user, int(shown.timestamp()), ad, draw.choice(POSITIONS), 1 - clicked, clicked))
    return rows


def write(path: Path, names: str, rows: Iterable[Sequence[object]]) -> None:
    """Write a CSV with the comma-separated `names` as its first line."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names.split(","))
        writer.writerows(rows)


def main(folder: Path) -> None:
    """Write the four tables into `folder`."""
    draw = random.Random(1)  # noqa: S311  (nothing secret is drawn)
    folder.mkdir(parents=True, exist_ok=True)
    profiles, catalogue = users(draw), ads(draw)
    offers = prices(draw, catalogue)
    log = impressions(draw, offers)
    write(folder / "raw_sample.csv", "user,time_stamp,adgroup_id,pid,nonclk,clk", log)
    write(folder / "ad_feature.csv", "adgroup_id,cate_id,campaign_id,customer,brand,price", catalogue)
    write(
        folder / "user_profile.csv",
        "userid,cms_segid,cms_group_id,final_gender_code,age_level,pvalue_level,shopping_level,occupation,"
        "new_user_class_level",
        profiles,
    )
    write(folder / "daily_price.csv", "adgroup_id,ts,available_at,price", offers)
    print(f"{folder}: {len(log)} impressions, {len(profiles)} users, {len(catalogue)} ads, {len(offers)} daily prices")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
