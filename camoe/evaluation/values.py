"""Names of the values of fields that are categorical features: the training table has their indices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from camoe.config.pipeline import Config
from camoe.contracts import encoder as encoders
from camoe.contracts.runs import active_records, encoder_version
from camoe.contracts.snapshot import logged

Names = Mapping[str, tuple[str, ...]]


@dataclass(frozen=True)
class FieldValues:
    """Fields that are categorical features, and their values, from `encoders.FIRST` on, by the table's version."""

    fields: tuple[str, ...] = ()
    of: Callable[[int], Names] = lambda version: {}


def field_values(config: Config) -> FieldValues:
    """Return the values of the fields of `config`, as the encoder has them that reads every row of the table.

    `of` raises `RunError` or `EncoderError` where a record or an encoder is missing or damaged.
    """
    fields = config.categorical_fields

    def of(version: int) -> Names:
        if not fields:
            return {}
        records = active_records(logged(config.training_table, version), config.layout.runs)
        encoder = encoders.read(config.layout.encoder, encoder_version(records))
        return {name: encoder.values[name] for name in fields}

    return FieldValues(fields, of)
