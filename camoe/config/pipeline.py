"""The whole configuration of a pipeline."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, ValidationError, model_validator

from camoe.config.compress import CompressConfig
from camoe.config.model import CamoeConfig, ModelConfig
from camoe.config.model_features import ModelFeatures
from camoe.config.training import TrainingConfig
from camoe.contracts.config_file import LocalPath, Place, Section, TablePlace
from camoe.contracts.days import Days
from camoe.contracts.errors import ConfigError
from camoe.contracts.features import FeatureSet
from camoe.contracts.heads import HeadSet
from camoe.contracts.layout import Layout, misread_character
from camoe.contracts.places.objects import Folder
from camoe.contracts.schema import IMPRESSION_KEYS, PHYSICAL_IDS, RUN_ID, label_column
from camoe.contracts.shown.suggestions import suggestion
from camoe.contracts.slots import SlotCatalogue
from camoe.contracts.sources import Sources
from camoe.contracts.storage import is_remote, location_of
from camoe.metrics.config import USER_SEEN, CalibrationConfig, DriftConfig, EvaluationConfig, PromotionConfig


class Config(Section):
    """One pipeline. Each of the sections below may be the name of a file that holds it, beside this one."""

    out: Folder
    """Folder of everything that the jobs write, or `s3://bucket/path`."""
    lake: Folder | None = None
    """Folder in which the tables that features are built into lie, and the raw lake, so that several models learn from
    one table, or `s3://bucket/path`; null is `out`."""
    work: LocalPath | None = None
    """Folder of what never lies in an object store: logs, the workers' signs of life, copies of raw files while a run
    reads them. Where jobs run on several hosts, all of them see it. Null is `out`, and a folder in `CAMOE_CACHE`
    (`~/.cache/camoe`) where `out` is an address."""
    input: Place | None = None
    """Folder of the raw lake, or `s3://bucket/path`; null is `raw` in `lake`, where the synthetic lake lies."""
    predictions: TablePlace | None = None
    """Place of the predictions table where that is not under `out`: a path, or `s3://bucket/path`."""
    rows_per_file: int = Field(default=65_536, ge=1)
    """Rows of a file of the training table, at most."""
    bytes_per_file: int = Field(default=104_857_600, ge=1)
    """Bytes of a file of the training table, about, where `rows_per_file` would make larger ones: those of a row are
    measured in the files that are there, or in some of the first rows."""
    slots: SlotCatalogue
    """Ad placements."""
    heads: HeadSet
    """Outputs of the model."""
    sources: Sources
    """Raw tables, and what their columns mean."""
    features: FeatureSet
    """What the model reads."""
    days: Days
    """Training, validation and test days."""
    model: ModelConfig = CamoeConfig()
    """Architecture of the model, by its `kind`."""
    training: TrainingConfig = TrainingConfig()
    """One training run."""
    calibration: CalibrationConfig = CalibrationConfig()
    """Calibration of each head on the validation days."""
    evaluation: EvaluationConfig = EvaluationConfig()
    """Metrics of the test days."""
    compress: CompressConfig = CompressConfig()
    """What jobs/compress.py makes of a model."""
    promotion: PromotionConfig = PromotionConfig()
    """Rule by which an evaluation makes a model the champion."""
    drift: DriftConfig = DriftConfig()
    """Bounds of what scored days may differ by from those that the model was trained and validated on."""

    @model_validator(mode="after")
    def _consistent(self) -> Config:
        others = {"lake": self.lake, "predictions": self.predictions, "training.table": self.training.table}
        places = {"out": self.out, **{name: path or self.out for name, path in others.items()}}
        for name, path in places.items():
            misread = misread_character(path if isinstance(path, Path) else Path(path))
            if misread is not None:
                raise ValueError(
                    f"{name}={path}: Spark and delta-rs, which both write its tables, read the character {misread} of "
                    "its path differently; choose a path without it"
                )
        for head in self.heads.heads:
            if head.objective not in self.sources.objectives:
                choose = suggestion(head.objective, self.sources.objectives)
                raise ValueError(
                    f"head '{head.name}': objective '{head.objective}' is not declared in the sources; {choose}"
                )
        self._require_history()
        self._require_read()
        self._require_teacher()
        self._require_head_column()
        self._require_moving()
        self._require_fields()
        if self.training.served_experts is not None and self.model.kind not in {"camoe", "mmoe"}:
            raise ValueError(f"training.served_experts is for models whose heads share experts, not {self.model.kind}")
        try:
            self.heads.check_serving(self.slots)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        return self

    def _require_history(self) -> None:
        history = self.features.history
        unknown = [name for name in history.objectives if name not in self.sources.objectives] if history else []
        if unknown:
            choose = suggestion(unknown[0], self.sources.objectives)
            raise ValueError(f"features.history: objective '{unknown[0]}' is not declared in the sources; {choose}")

    def _require_read(self) -> None:
        try:
            read = self.model_features
        except ValueError as error:
            said = error.errors()[0]["ctx"]["error"] if isinstance(error, ValidationError) else error
            raise ValueError(f"training.features, training.without: {said}") from None
        column = self.heads.column
        if column is not None and not read.reads(column):
            raise ValueError(f"training leaves out '{column}', by which heads select rows (heads.column)")

    def _require_teacher(self) -> None:
        teacher = self.training.teacher
        if teacher is None or teacher.column is None:
            return
        targets = {target.name for target in self.features.targets}
        if teacher.column not in targets:
            choose = suggestion(teacher.column, targets)
            raise ValueError(f"training.teacher: '{teacher.column}' is none of features.targets; {choose}")
        if teacher.objective is not None and teacher.objective not in self.heads.objectives:
            choose = suggestion(teacher.objective, self.heads.objectives)
            raise ValueError(f"training.teacher: no head has the objective '{teacher.objective}'; {choose}")

    def _require_moving(self) -> None:
        known = {item.name for item in self.features.declared}
        unknown = [name for name in self.drift.moving if name not in known]
        if unknown:
            raise ValueError(f"drift.moving: '{unknown[0]}' is no feature; {suggestion(unknown[0], known)}")

    def _require_head_column(self) -> None:
        column = self.heads.column
        if column is None:
            return
        known = {item.name for item in self.features.categorical if item.hashing is None}
        if column not in known:
            choose = suggestion(column, known)
            raise ValueError(f"heads.column '{column}' is no categorical feature with a vocabulary; {choose}")
        if any(slot.attribute(column) is not None for slot in self.slots.slots):
            raise ValueError(f"heads.column '{column}' is also an attribute of slots; rename the feature")
        if self.training.normalise == "expected":
            raise ValueError("training.normalise=expected counts rows by slot, not by heads.column; use head or batch")

    def _require_fields(self) -> None:
        hashed = {item.name: item.columns for item in self.features.categorical if item.hashing is not None}
        others = {item.name: "a sequence" for item in self.features.sequence}
        others |= {item.name: "a number" for item in self.features.numerics}
        known = {USER_SEEN, *self._field_columns, *self._vocabularies}
        for name in (field.name for field in self.evaluation.fields if field.name not in known):
            what = f"evaluation.fields: '{name}'"
            if name in hashed:
                raise ValueError(
                    f"{what} is hashed, so its values have no names; declare {hashed[name][0]} for its buckets, or a "
                    "categorical of the same SQL with a vocabulary"
                )
            if name in others:
                raise ValueError(f"{what} is {others[name]}, which makes no groups; declare a categorical of its SQL")
            choose = suggestion(name, known)
            raise ValueError(
                f"{what} is no column of the training table and no categorical with a vocabulary; {choose}"
            )

    @property
    def _field_columns(self) -> tuple[str, ...]:
        """Columns of the training table, but the lists of sequences."""
        labels, targets = map(label_column, self.sources.objectives), (one.column for one in self.features.targets)
        features = (*self.features.categorical_columns, *self.features.numeric_columns)
        return (*IMPRESSION_KEYS, *PHYSICAL_IDS, RUN_ID, "label_as_of", *labels, *targets, *features)

    @property
    def _vocabularies(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.features.categorical if item.hashing is None)

    @property
    def categorical_fields(self) -> tuple[str, ...]:
        """Fields of the evaluation that are categorical features, so that the training table has their indices."""
        names = [field.name for field in self.evaluation.fields]
        return tuple(name for name in names if name in self._vocabularies and name not in self._field_columns)

    @property
    def model_features(self) -> ModelFeatures:
        """The features of the table, of which the model reads those that training does not leave out."""
        return ModelFeatures.of(self.features, self.training.features, self.training.without)

    @property
    def layout(self) -> Layout:
        """Paths under `out` and `lake`, and the training table's address where it lies in an object store."""
        table = self.training.table
        return Layout(self.out, self.lake, table if table and is_remote(location_of(table)) else None, self.work)

    @property
    def training_table(self) -> Path | str:
        """Place of the training table that models learn from, are scored on and measured on."""
        return self.training.table or self.layout.training

    @property
    def predictions_table(self) -> Path | str:
        """Place of the predictions of impressions."""
        return self.predictions or self.layout.predictions

    @property
    def raw(self) -> Path | str:
        """Folder of the raw lake, or its address."""
        own = self.layout.raw
        return self.input or (str(own) if is_remote(str(own)) else own)
