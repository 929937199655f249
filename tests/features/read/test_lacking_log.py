"""A log without time, id, a known user in each row, and tables beside it, by the expressions of docs/your-data.md.

Its rows count the clicks of several impressions.
"""

from __future__ import annotations

import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import yaml

import camoe
from tests.features import lake
from tests.paths import ROOT

ROWS = 600
PAGE = (ROOT / "docs/your-data.md").read_text()
AGGREGATED = PAGE[PAGE.index("**A row of many impressions**") :]


def shown(name):
    """The expression that the page gives for a mapped column."""
    return re.search(rf"^    {name}: (.+)$", PAGE[PAGE.index("## 6.") :], re.MULTILINE)[1].strip('"')


@pytest.mark.slow
def test_a_log_of_queries_without_time_id_and_users_is_built(spark, tmp_path):
    numbers = range(ROWS)
    log = {
        "query": [number // 3 for number in numbers],
        "ad": [number % 13 for number in numbers],
        "user": [0 if number % 4 == 0 else 1 + number % 29 for number in numbers],
        "shows": [1 + number % 3 for number in numbers],
        "clicks": [int(number % 5 == 0) for number in numbers],
    }
    (tmp_path / "raw").mkdir()
    pq.write_table(pa.table(log), tmp_path / "raw/log.parquet")
    days = {"train": (1, 8), "validation": (9, 9), "test": (10, 10)}
    own = lake.config(tmp_path)
    own |= {
        "slots": {"slots": [{"id": "all", "name": "All", "modality": "search"}]},
        "heads": {"heads": [{"name": "all", "objective": "click"}]},
        "sources": {
            "impressions": {
                "path": "log.parquet",
                "columns": {name: shown(name) for name in ("impression_id", "user_id", "ts")}
                | {"campaign_id": "cast(ad as string)", "slot": "'all'"},
                **yaml.safe_load(AGGREGATED[AGGREGATED.index("impressions:") :].partition("```")[0])["impressions"],
            },
            "entities": {},
            "objectives": {"click": {}},
        },
        "features": {"categorical": [{"name": "ad", "sql": "campaign_id"}]},
        "days": {name: {"first": f"2000-01-{first:02}", "last": f"2000-01-{last:02}"}
                 for name, (first, last) in days.items()},
    }  # fmt: skip
    assert lake.run_job(lake.write_config(tmp_path, own)) == 0
    rows = camoe.read_days(tmp_path / "out/training", [f"2000-01-{day:02}" for day in range(1, 11)]).to_pandas()
    assert len(rows) == rows["impression_id"].nunique() == sum(log["shows"])
    assert rows["label_click"].sum() == sum(log["clicks"])
    # All rows of a query lie on one day, and each unknown user is one of their own.
    assert len(set(zip(rows["impression_id"].str.split("-").str[0], rows["date"], strict=True))) == ROWS // 3
    unknown = rows["user_id"].str.startswith("unknown")
    assert rows["user_id"][unknown].nunique() == ROWS // 4
