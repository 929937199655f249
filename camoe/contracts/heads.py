"""Heads are data: a name, an objective, a membership rule over slot attributes, a loss weight."""

from __future__ import annotations

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.errors import ConfigError
from camoe.contracts.slots import SafeName, Slot, SlotCatalogue


class Head(Section):
    """One output of the model.

    `where` maps an attribute to the values that belong to the head; all must hold; empty means every slot.
    """

    name: SafeName
    objective: SafeName
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    weight: float = Field(default=1.0, gt=0)

    def owns(self, slot: Slot) -> bool:
        """Whether impressions of `slot` belong to this head."""
        return all(slot.attribute(key) in values for key, values in self.where.items())


class HeadSet(Section):
    """The heads of one model.

    Every slot has exactly one head for the first objective. A further objective may be served in some slots only: in
    those that one of its heads owns.
    """

    heads: tuple[Head, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> HeadSet:
        names = [head.name for head in self.heads]
        if len(set(names)) < len(names):
            raise ValueError("head names must be unique")
        return self

    @property
    def objectives(self) -> tuple[str, ...]:
        """Distinct objectives in order of first appearance."""
        return tuple(dict.fromkeys(head.objective for head in self.heads))

    def membership(self, catalogue: SlotCatalogue) -> tuple[tuple[bool, ...], ...]:
        """Rule per head and slot: `membership[head][slot_id]`."""
        return tuple(tuple(head.owns(slot) for slot in catalogue.slots) for head in self.heads)

    def serving_head(self, slot: Slot, objective: str) -> Head | None:
        """The head that scores (slot, objective); None where the objective is not served in that slot.

        Raises:
            ConfigError: several heads claim it, or none does and it is the first objective.
        """
        owners = [head for head in self.heads if head.objective == objective and head.owns(slot)]
        if len(owners) == 1:
            return owners[0]
        if not owners and objective != self.objectives[0]:
            return None
        found = ", ".join(head.name for head in owners) or "none"
        raise ConfigError(
            f"slot '{slot.id}' needs exactly one head for objective '{objective}', found: {found}; "
            "change the heads file so that each slot has one (none is allowed for objectives after the first)"
        )

    def served(self, slot: Slot) -> tuple[str, ...]:
        """The objectives that impressions of `slot` are scored for. Raises as `serving_head` does."""
        return tuple(name for name in self.objectives if self.serving_head(slot, name) is not None)

    def check_serving(self, catalogue: SlotCatalogue) -> None:
        """Raise `ConfigError` unless each slot has one head for the first objective and no two for any other.

        Each head must own a slot.
        """
        for slot in catalogue.slots:
            self.served(slot)
        for head in self.heads:
            if not any(head.owns(slot) for slot in catalogue.slots):
                raise ConfigError(f"head '{head.name}' owns no slot of the catalogue; correct its 'where'")
