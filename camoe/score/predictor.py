"""A bundle ready to score tables of impressions in this process. Needs no torch, no Spark."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from camoe.bundle.manifest import ENCODER
from camoe.contracts import encoder as encoders
from camoe.contracts.encoder import Encoder
from camoe.contracts.schema import FEATURE_SCHEMA_PROPERTY
from camoe.score.encode import encode
from camoe.score.frames import Frame, as_table
from camoe.score.graph_inputs import ScoringError
from camoe.score.scorer import Scorer, ScoringModel, read_model

ENCODER_PROPERTY = "camoe.encoderHash"


@dataclass(frozen=True)
class Predictor:
    """A model that is loaded."""

    model: ScoringModel

    @cached_property
    def encoder(self) -> Encoder:
        """The bundle's vocabularies, read when they are first asked for."""
        return encoders.read(self.model.folder / ENCODER, self.model.manifest.encoder_version)

    @cached_property
    def _encoder_hash(self) -> str:
        return self.encoder.content_hash()

    @cached_property
    def _scorer(self) -> Scorer:
        return Scorer(self.model)

    def encode(self, table: Frame) -> pa.Table:
        """Add the encoded columns for `predict` to `table`, which has raw feature values under the features' names.

        Raises:
            ScoringError: a column is missing or of a wrong type.
        """
        table = as_table(table)
        encoded = encode(table, self.model.spec.features, self.encoder)
        stamp = {
            FEATURE_SCHEMA_PROPERTY: self.model.manifest.feature_schema_hash,
            ENCODER_PROPERTY: self._encoder_hash,
        }
        return encoded.replace_schema_metadata({**(table.schema.metadata or {}), **stamp})

    def predict(self, table: Frame) -> pa.Table:
        """Return what the scoring job gives for rows with `slot` and the encoded columns of the training table.

        `table` is one of Arrow, or a frame of pandas or polars, as for `encode`.

        One row an objective and an impression whose slot it is served in, objective by objective, in the order of
        `table`. Columns: the keys that `table` has (impression_id, request_id, user_id, campaign_id, modality, slot,
        date), objective, head, p_raw, p (calibrated), model_version.

        Raises:
            ScoringError: a column is missing or of a wrong type, a slot is unknown, or the table was encoded for
                another model.
        """
        table = as_table(table)
        found = (table.schema.metadata or {}).get(ENCODER_PROPERTY.encode())
        if found is not None and found.decode() != self._encoder_hash:
            raise ScoringError(
                f"the table was encoded with the vocabularies {found.decode()}, model "
                f"{self.model.manifest.model_version} has {self._encoder_hash}; encode it with this model"
            )
        return self._scorer.predict(table)


def load(folder: Path) -> Predictor:
    """Load the bundle at `folder`, every file checked against its hash. Raises `BundleError` when it is not whole."""
    return Predictor(read_model(folder))
