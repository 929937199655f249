"""Typed configuration of calibration and evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from camoe.contracts.config_file import Section
from camoe.contracts.places.objects import Folder
from camoe.contracts.slots import SafeName


class CalibrationConfig(Section):
    """Calibration of each head on the validation days (Platt, 1999)."""

    min_per_class: int = Field(default=50, ge=1)
    """Rows that each of a head's two labels must have there for it to be calibrated. With n positives the level of the
    predictions is known to about 1 / sqrt(n): 14 % at 50."""


# Kinds of groups that are there without being declared; `all` is the group of every row.
BUILT_IN_KINDS = ("slot", "modality", "head", "all", "date")
USER_SEEN = "user_seen"
# Columns that the scored rows have beside their fields.
TAKEN = ("objective", "label", "matched", "p", "p_raw", "base_rate", "slot_rate", "truth")


class FieldConfig(Section):
    """A categorical feature or another column of the training table, whose values are groups of impressions."""

    name: str
    """A categorical with a vocabulary, whose values are then named; a column of the training table (`cat_` and a
    feature's name are indices); or `user_seen`: whether training had the user."""
    histograms: bool = False
    """Whether histograms are kept of a field that takes few values: it then has AUC-PR, ROC-AUC and ECE, of each
    predictor. Of others sums are kept."""
    shown: int = Field(default=100, ge=1)
    """Values that get figures, those with the most impressions; sums are kept of all."""

    @model_validator(mode="after")
    def _own_name(self) -> FieldConfig:
        if self.name in BUILT_IN_KINDS:
            raise ValueError(f"the field '{self.name}' is a kind of group already; leave it out")
        if self.name in TAKEN:
            raise ValueError(f"the field '{self.name}' is a name that evaluation uses itself; rename the feature")
        return self


class PredictorConfig(Section):
    """Probabilities of another system, for which figures stand beside the model's; there has to be one for each row."""

    name: SafeName
    """Name of the predictor."""
    column: str = "p"
    """Column of the probabilities."""
    path: Folder | None = None
    """Table that has it, a Delta table, in an object store, too, or Parquet files: a row an `impression_id` and, where
    it has the column, an `objective`. Null is the training table, as for a target (`target_` and its name)."""

    @model_validator(mode="after")
    def _own_name(self) -> PredictorConfig:
        if self.name in TAKEN or self.name in {"model", "model_raw"}:
            raise ValueError(f"the predictor '{self.name}' is a name that evaluation uses itself; choose another")
        return self


class EvaluationConfig(Section):
    """Metrics of the test days."""

    groups: tuple[Literal["slot", "modality", "head"], ...] = ("slot", "modality", "head")
    """Groups that get metrics."""
    fields: tuple[FieldConfig, ...] = (FieldConfig(name="campaign_id"),)
    """Further groups, by the values of features or of columns of the training table."""
    predictors: tuple[PredictorConfig, ...] = ()
    """Other systems, such as boosted trees, that the model is held against."""
    user_buckets: int = Field(default=100, ge=2)
    """Buckets of users that the bootstrap draws from."""
    field_buckets: int = Field(default=20, ge=2)
    """Buckets of users of fields of which sums alone are kept."""
    bootstrap: int = Field(default=200, ge=2)
    """Repeats of the bootstrap."""
    ece_bins: int = Field(default=20, ge=1)
    """Bins of equal mass of the calibration error (ECE)."""
    seed: int = 1
    """Seed of the bootstrap."""

    @model_validator(mode="after")
    def _distinct(self) -> EvaluationConfig:
        names = [*(field.name for field in self.fields), *(one.name for one in self.predictors)]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"evaluation.fields and evaluation.predictors name '{twice[0]}' twice")
        return self


class PromotionConfig(Section):
    """Rule by which an evaluation makes a model the champion: its verdicts against the champion on the test days."""

    metrics: tuple[Literal["ne", "auc_pr", "roc_auc", "ece", "pcoc"], ...] = Field(default=("ne",), min_length=1)
    """Metrics that are held against the champion's."""
    wanted: Literal["better", "not worse"] = "better"
    """What the first metric has to be, over all rows, of at least one objective; `not worse` also takes a model of
    which it cannot be told."""
    groups: tuple[Literal["slot", "modality", "head"], ...] = ("slot",)
    """Kinds of groups none of which may be worse in any of the metrics, nor may all rows together, of any objective."""


class DriftConfig(Section):
    """Bounds of what scored days may differ by; a bound that is null is none, and drift is told all the same."""

    scores: float | None = Field(default=None, ge=0)
    """Population stability index of the calibrated scores of a head in a slot against the validation days, less what
    chance alone gives. Usual marks: 0.1 moderate, 0.25 large."""
    features: float | None = Field(default=None, ge=0)
    """The same of a feature against the days that the model learned from."""
    moving: tuple[str, ...] = ()
    """Features that are not held against that bound, as they move by their nature: of the calendar, totals, ages."""
    unknown: float | None = Field(default=None, ge=0, le=1)
    """Share of a column's categories that the model does not know."""
    every_head: bool = False
    """Whether each head that served validation rows has to serve some."""
    least_rows: int = Field(default=1000, ge=1)
    """Rows below which nothing is held against a bound."""
