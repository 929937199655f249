"""Parts of a batch by origin: in proportion to the table, or in declared shares.

An epoch over shares ends when every row of the stratum that is largest relative to its share has come once. The other
strata repeat: each of their passes holds every row once, in an order of its own; the last pass may be cut short.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import Discriminator, Field, Tag

from camoe.contracts.config_file import Section
from camoe.contracts.errors import StreamError
from camoe.contracts.snapshot import DataFile

WHOLE = "all"


class Shares(Section):
    """Declared parts of each batch."""

    by: Literal["modality", "slot"]
    """What the parts are of."""
    of: Mapping[str, Annotated[float, Field(gt=0, allow_inf_nan=False)]] = Field(min_length=1)
    """A number for every one that has rows; they count relative to their sum, so 1 and 1 is half and half."""

    def stratum(self, file: DataFile) -> str:
        """Return the stratum that the file's rows belong to."""
        return file.modality if self.by == "modality" else file.slot


def _kind(value: object) -> str:
    return "shares" if isinstance(value, Mapping | Shares) else "proportional"


Mixing = Annotated[
    Annotated[Literal["proportional"], Tag("proportional")] | Annotated[Shares, Tag("shares")], Discriminator(_kind)
]


def stratum_of(mixing: Mixing, file: DataFile) -> str:
    """Return the stratum of the file's rows; proportional mixing has only one."""
    return mixing.stratum(file) if isinstance(mixing, Shares) else WHOLE


def epoch_rows(mixing: Mixing, rows: Mapping[str, int]) -> dict[str, int]:
    """Return the rows that each stratum gives to one epoch, from the `rows` that it has.

    Raises:
        StreamError: the shares do not name exactly the strata that have rows.
    """
    if not isinstance(mixing, Shares):
        return dict(rows)
    if mixing.of.keys() != rows.keys():
        raise StreamError(
            f"training.stream.mixing has shares for {', '.join(sorted(mixing.of))}, the rows of these days are of "
            f"{mixing.by} {', '.join(sorted(rows))}; name each of those, and no other"
        )
    share = {name: Fraction(str(value)) for name, value in mixing.of.items()}
    length = max(rows[name] / share[name] for name in rows)
    return {name: round(length * share[name]) for name in rows}
