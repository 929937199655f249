"""Heads as data: a name, an objective, a membership rule over slot attributes and a row column, a loss weight."""

from __future__ import annotations

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.errors import ConfigError
from camoe.contracts.shown.suggestions import suggestion
from camoe.contracts.slots import SafeName, Slot, SlotCatalogue


class Head(Section):
    """One output of the model."""

    name: SafeName
    """Name of the head."""
    objective: SafeName
    """Objective that it predicts, one of `sources.objectives`."""
    where: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Values that belong to the head, by slot attribute (`slot` and `modality` among them) or the head set's `column`;
    all must hold; empty means every slot."""
    weight: float = Field(default=1.0, gt=0)
    """Weight of its loss beside the other heads'."""

    def owns(self, slot: Slot, column: str | None = None) -> bool:
        """Return whether impressions of `slot` can belong to this head, whatever `where` says of `column`."""
        return all(slot.attribute(key) in values for key, values in self.where.items() if key != column)


class HeadSet(Section):
    """The heads of one model.

    Every slot has exactly one head for the first objective. A further objective may be served in some slots only: in
    those that one of its heads owns.
    """

    column: SafeName | None = None
    """A categorical feature by whose raw values heads may select too. Where heads of one objective and slot differ in
    them, each takes the rows of its values, and one that names none takes all other rows, those where the value is
    missing among them. Null is none."""
    heads: tuple[Head, ...] = Field(min_length=1)
    """The heads; the first one's objective is the first objective."""

    @model_validator(mode="after")
    def _unique(self) -> HeadSet:
        names = [head.name for head in self.heads]
        if len(set(names)) < len(names):
            raise ValueError("head names must be unique")
        if self.column is not None and not self.values:
            raise ValueError(f"no head's 'where' names values of the column '{self.column}'; add them or leave it out")
        return self

    @property
    def objectives(self) -> tuple[str, ...]:
        """Distinct objectives in order of first appearance."""
        return tuple(dict.fromkeys(head.objective for head in self.heads))

    @property
    def values(self) -> tuple[str, ...]:
        """The values of `column` that heads name, each once."""
        named = (value for head in self.heads for value in head.where.get(self.column or "", ()))
        return tuple(dict.fromkeys(named))

    @property
    def cases(self) -> tuple[str | None, ...]:
        """Cases that rows of a slot are told apart by: any other value (None), then each of `values`."""
        return (None, *self.values)

    def membership(self, catalogue: SlotCatalogue) -> tuple[tuple[bool, ...], ...]:
        """Return by head and cell who learns: `membership[head][slot_id * len(cases) + case]`.

        Without a column a cell is a slot.
        """
        return tuple(
            tuple(
                head in self._claimants(slot, head.objective, case) for slot in catalogue.slots for case in self.cases
            )
            for head in self.heads
        )

    def serving_head(self, slot: Slot, objective: str, case: str | None = None) -> Head | None:
        """Return the head that scores (slot, objective) where the row's column is `case`; None where none is served.

        Raises:
            ConfigError: several heads claim it, or none does and it is the first objective, or another case is served.
        """
        owners = self._claimants(slot, objective, case)
        if len(owners) == 1:
            return owners[0]
        anywhere = any(head.objective == objective and head.owns(slot, self.column) for head in self.heads)
        if not anywhere and objective != self.objectives[0]:
            return None
        found = ", ".join(head.name for head in owners) or "none"
        which = "" if case is None else f" where {self.column} is '{case}'"
        which = f" where {self.column} is none of {', '.join(self.values)}" if case is None and self.values else which
        raise ConfigError(
            f"slot '{slot.id}' needs exactly one head for objective '{objective}'{which}, found: {found}; "
            "change the heads file so that each slot has one (none is allowed for objectives after the first)"
        )

    def _claimants(self, slot: Slot, objective: str, case: str | None) -> list[Head]:
        """Return the heads of `objective` that take rows of `slot` whose column is `case`."""
        owners = [head for head in self.heads if head.objective == objective and head.owns(slot, self.column)]
        naming = [head for head in owners if case is not None and case in head.where.get(self.column or "", ())]
        return naming or [head for head in owners if self.column not in head.where]

    def served(self, slot: Slot) -> tuple[str, ...]:
        """Return the objectives that impressions of `slot` are scored for. Raises as `serving_head` does."""
        return tuple(name for name in self.objectives if all(self._serving(slot, name)))

    def _serving(self, slot: Slot, objective: str) -> list[Head | None]:
        return [self.serving_head(slot, objective, case) for case in self.cases]

    def check_serving(self, catalogue: SlotCatalogue) -> None:
        """Raise `ConfigError` unless each slot has one head for the first objective and no two for any other.

        Each head must own a slot, and each value of its 'where' be that of one.
        """
        for head in self.heads:
            self._require_known(head, catalogue)
        for slot in catalogue.slots:
            self.served(slot)
        for head in self.heads:
            if not any(head.owns(slot, self.column) for slot in catalogue.slots):
                raise ConfigError(f"head '{head.name}' owns no slot of the catalogue; correct its 'where'")

    def _require_known(self, head: Head, catalogue: SlotCatalogue) -> None:
        attributes = {"slot", "modality"}.union(*(slot.attributes for slot in catalogue.slots))
        for key, values in head.where.items():
            if key not in attributes and key != self.column:
                raise ConfigError(f"head '{head.name}': no slot has a '{key}'; {suggestion(key, attributes)}")
            known = {str(found) for slot in catalogue.slots if (found := slot.attribute(key)) is not None}
            for value in values if key != self.column else ():
                if value not in known:
                    choose = suggestion(value, known)
                    raise ConfigError(f"head '{head.name}': no slot has the {key} '{value}' of its 'where'; {choose}")
