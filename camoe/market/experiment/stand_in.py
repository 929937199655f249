"""A model that stands for the truth where a log has none: of which days it knows, and that they are others."""

from __future__ import annotations

import json
from datetime import date
from itertools import chain
from pathlib import Path

from camoe.contracts.days import Days
from camoe.contracts.errors import InputError
from camoe.market.config import Outcomes
from camoe.market.experiment.predictions import models_and_days


def stand_in(outcomes: Outcomes) -> str:
    """Return what to tell of the model whose predictions stand for the truth.

    Raises:
        InputError: its bundle cannot be read, has not made the predictions, or learned from their days.
    """
    model, days = _read(outcomes.bundle)
    versions, asked = models_and_days(outcomes.predictions)
    if versions != {model}:
        raise InputError(
            f"{outcomes.predictions} has predictions of {', '.join(sorted(versions))}, and "
            f"{outcomes.bundle} is model {model}; score the market's candidates with it, into a table of its own"
        )
    known = set(chain(days.train.days(), days.validation.days()))
    shared = sorted(day for day in asked if date.fromisoformat(day) in known)
    if shared:
        raise InputError(
            f"model {model} stands for the truth on {shared[0]}, a day that it learned from; train it on other days"
        )
    return f"model {model}, which learned from {days.train.first} to {days.validation.last}"


def _read(bundle: Path) -> tuple[str, Days]:
    try:
        manifest = json.loads((bundle / "manifest.json").read_text(encoding="utf-8"))
        settings = json.loads((bundle / "config.json").read_text(encoding="utf-8"))
        return manifest["model_version"], Days.model_validate(settings["days"])
    except (OSError, ValueError, KeyError) as error:
        raise InputError(f"cannot read the bundle {bundle} ({error}); name one that jobs/train.py wrote") from error
