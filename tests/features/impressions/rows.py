"""An impression without a fault, as text, and the catalogue that knows its slot."""

from __future__ import annotations

from camoe.contracts.slots import SlotCatalogue

SLOTS = SlotCatalogue.model_validate({"slots": [{"id": "feed", "name": "Feed", "modality": "video"}]})
SCHEMA = (
    "impression_id string, user_id string, campaign_id string, slot string, ts string, label_click string, "
    "_folder_day date, _damage string"
)
GOOD = {
    "impression_id": "i",
    "user_id": "u",
    "campaign_id": "c",
    "slot": "feed",
    "ts": "2026-03-28 12:00:00",
    "label_click": "1",
    "_folder_day": None,
    "_damage": None,
}
