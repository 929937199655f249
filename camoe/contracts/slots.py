"""The slot catalogue: ad placements with free attributes. Code names neither a slot nor an attribute's value."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.shown.printable import printable

# Slot and modality names become folder names of the lake, so they are kept to safe characters.
SafeName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]


def _shown(name: str) -> str:
    if printable(name) != name:
        raise ValueError(f"the name {printable(name)} holds control characters; take them out")
    return name


class Slot(Section):
    """One placement."""

    id: SafeName
    """Value of the impressions' column `slot`."""
    name: Annotated[str, AfterValidator(_shown)]
    """Name for people, in reports."""
    modality: SafeName
    """Modality of its ads; heads may select on it."""
    attributes: dict[str, str] = Field(default_factory=dict)
    """What else heads select on (content, focus, ...)."""

    def attribute(self, key: str) -> str | None:
        """Return the value of attribute `key`; `slot` and `modality` count as attributes."""
        own = {"slot": self.id, "modality": self.modality}
        return own.get(key, self.attributes.get(key))


class SlotCatalogue(Section):
    """All slots, in the order that gives them their ids."""

    slots: tuple[Slot, ...] = Field(min_length=1)
    """The placements. Append, never reorder: the order gives their numbers in tables and bundles."""

    @model_validator(mode="after")
    def _unique(self) -> SlotCatalogue:
        ids = [slot.id for slot in self.slots]
        twice = sorted({name for name in ids if ids.count(name) > 1})
        if twice:
            raise ValueError(f"slot ids must be unique; twice: {', '.join(twice)}")
        return self

    @property
    def modalities(self) -> tuple[str, ...]:
        """Distinct modalities in order of first appearance."""
        return tuple(dict.fromkeys(slot.modality for slot in self.slots))

    def listing(self) -> str:
        """List slots and modalities in id order, as a table property: `slot:modality,...`."""
        return ",".join(f"{slot.id}:{slot.modality}" for slot in self.slots)

    def continues(self, listing: str) -> bool:
        """Return whether rows written under `listing` keep their ids: slots were only appended since."""
        return only_appended(listing, self.listing())

    def slot_id(self, slot: str) -> int:
        """Return the position of `slot` in the catalogue: the physical `slot_id` of the training table."""
        return [item.id for item in self.slots].index(slot)

    def modality_id(self, slot: str) -> int:
        """Return the position of the slot's modality: the physical `modality_id` of the training table."""
        return self.modalities.index(self.slots[self.slot_id(slot)].modality)


def only_appended(before: str, now: str) -> bool:
    """Return whether the listing `now` starts with all of the listing `before`."""
    return f"{now},".startswith(f"{before},")
