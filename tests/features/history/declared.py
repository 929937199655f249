"""A history and sequences over the lake of the tests."""

from __future__ import annotations

from tests.features import lake

HISTORY = {
    "since": lake.DAYS[0],
    "delay_s": 300,
    "objectives": ["click"],
    "windows": ["all", "1d"],
    "keys": {
        "all": [],
        "user": ["user_id"],
        "advertiser": {"by": ["campaign.advertiser"], "parent": "all"},
        "user_advertiser": {"by": ["user_id", "campaign.advertiser"], "parent": "advertiser"},
    },
}

SEQUENCES = [
    {"name": "seen", "sql": "campaign_id", "key": "user", "max_length": 5, "age": True},
    {"name": "clicked", "sql": "campaign.advertiser", "key": "user", "objective": "click", "within": "1d",
     "vocabulary": "advertiser", "max_length": 3},
]  # fmt: skip
