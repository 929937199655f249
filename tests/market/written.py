"""A market of `bench.market.world` as the tables of a lake."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from deltalake import write_deltalake

from camoe.market.experiment.run import Market

DAY_S = 86_400
MODELS = ("poor", "good")


def write_market(folder: Path, market: Market) -> dict[str, Path]:
    """Write `market` under `folder`; return the tables of the predictions of `MODELS`."""
    requests, candidates = _rows(market)
    tables = {
        "market/requests": requests,
        "market/candidates": candidates[["request_id", "campaign_id", "rank"]],
        "market_truth": candidates[["request_id", "campaign_id", "click"]],
        "market/campaigns": _campaigns(market),
    }
    for name, table in tables.items():
        (folder / name).mkdir(parents=True)
        table.to_parquet(folder / name / "part-0.parquet")
    for model in MODELS:
        made = candidates[["request_id", "campaign_id"]].assign(objective="click", p=candidates[model])
        write_deltalake(str(folder / model), pa.Table.from_pandas(made, preserve_index=False))
    return {model: folder / model for model in MODELS}


def _rows(market: Market) -> tuple[pd.DataFrame, pd.DataFrame]:
    requests, candidates = [], []
    for offer in market.offers():
        second = offer.number * DAY_S // market.rules.ticks
        day = pd.Timestamp("2026-03-01", tz="UTC") + pd.Timedelta(days=offer.day)
        slots = [market.cells.slot[cell] for cell in offer.cell]
        requests.append(
            pd.DataFrame(
                {
                    "request_id": offer.request,
                    "user_id": offer.user,
                    "ts": day + pd.Timedelta(seconds=second),
                    "day": offer.day,
                    "second": second,
                    "market": [market.cells.market[cell] for cell in offer.cell],
                    "slot": slots,
                    "queue": [market.cells.queue[slot] for slot in slots],
                    "places": offer.pod,
                }
            )
        )
        shape = offer.candidate.shape
        candidates.append(
            pd.DataFrame(
                {
                    "request_id": np.repeat(offer.request, shape[1]),
                    "campaign_id": offer.candidate.ravel(),
                    "rank": np.tile(np.arange(shape[1]), shape[0]),
                    "click": offer.truth.ravel(),
                    **{model: offer.scores[model].ravel() for model in MODELS},
                }
            )
        )
    return pd.concat(requests), pd.concat(candidates)


def _campaigns(market: Market) -> pd.DataFrame:
    accounts, cells = market.accounts, market.cells
    shown = [sorted({cells.market[cell] for cell in np.flatnonzero(own)}) for own in accounts.targets]
    return pd.DataFrame(
        {
            "campaign_id": accounts.campaign,
            "campaign_objective": "traffic",
            "for_clicks": accounts.for_clicks,
            "bid": accounts.bid,
            "daily": accounts.daily,
            "total": accounts.total,
            "first_day": accounts.first_day,
            "last_day": accounts.last_day,
            "cap": accounts.cap,
            "markets": shown,
            "format": "both",
        }
    )
