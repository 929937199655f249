"""The way from a bundle to a cheaper one: a student, what is cut, a short training; each a bundle of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from camoe.bundle.manifest import METRICS, Bundle, open_bundle
from camoe.bundle.model import read_module
from camoe.bundle.versions import named_by
from camoe.compress.cut import cut
from camoe.compress.train import train, write_cut
from camoe.compress.usage import usage_of
from camoe.config.pipeline import Config
from camoe.config.training import FoldConfig, TeacherConfig, TrainingConfig
from camoe.contracts.errors import ConfigError
from camoe.model.camoe import Camoe
from camoe.model.spec import ModelSpec
from camoe.train.data.training_inputs import open_training_inputs


@dataclass(frozen=True)
class Stage:
    """A model on the way: its name, its bundle, and the seconds of work that it took from the stage before."""

    name: str
    bundle: Path
    seconds: float


@dataclass
class Way:
    """The way of `config` from the bundle `source` into the folder `to`, from one `version` of the training table.

    What is made last lies under `to` itself, all before it under `to`/steps. `stages` are those that are over, `folds`
    the bundles of teachers that have each left out a fold of users.
    """

    config: Config
    source: Bundle
    to: Path
    version: int
    stages: list[Stage] = field(default_factory=list)
    folds: list[Path] = field(default_factory=list)

    def walk(self) -> list[Stage]:
        """Return all stages, the source first.

        Raises:
            ConfigError: nothing is asked for, or the source is none that this can be done to.
            CamoeError: as training does.
        """
        self._require_possible()
        own = self.config.compress
        self.stages = [Stage("source", self.source.folder, 0.0)]
        if own.student is not None:
            self._done("student", self._student, last=not own.cuts)
        if own.cuts:
            self._done("cut", self._cut, last=not own.tune.epochs)
            if own.tune.epochs:
                self._done("tuned", self._tuned, last=True)
        return self.stages

    def _done(self, name: str, make: Callable[[Config], None], *, last: bool) -> None:
        started, learns = time.monotonic(), name != "cut"
        teacher = self._teacher() if learns else None
        changed = {"ensemble": 1, "teacher": teacher, "warm_start": None, "served_experts": None}
        # Only what is shipped learns from the validation days: the next stage is calibrated on them.
        changed["refit"] = self.config.training.refit and last and learns
        training = self.config.training.model_copy(update=changed)
        place = self._place(self.to if last else self.to / "steps" / name, training)
        make(place)
        bundle = named_by(place.layout.bundle)
        self.stages.append(Stage(name, bundle, time.monotonic() - started))

    def _place(self, out: Path, training: TrainingConfig) -> Config:
        return self.config.model_copy(update={"out": out, "lake": self.config.layout.lake, "training": training})

    def _student(self, place: Config) -> None:
        assert self.config.compress.student is not None
        train(place.model_copy(update={"model": self.config.compress.student}), self.version)

    def _cut(self, place: Config) -> None:
        bundle = open_bundle(self.stages[-1].bundle)
        model, inputs = read_module(bundle), open_training_inputs(place, self.version)
        assert isinstance(model, Camoe)
        usage = usage_of(model, bundle.spec, inputs.train)
        smaller, spec = cut(model, bundle.spec, usage, self.config.compress)
        print(f"compress: {_told(bundle.spec, spec)}", flush=True)
        write_cut(place.model_copy(update={"model": spec.model}), inputs, smaller, spec, bundle)

    def _tuned(self, place: Config) -> None:
        tune, was = self.config.compress.tune, place.training
        before = open_bundle(self.stages[-1].bundle)
        rates = {
            "learning_rate": was.learning_rate * tune.rate,
            "embedding_learning_rate": was.embedding_learning_rate * tune.rate,
        }
        changed = {"epochs": tune.epochs, "steps": None, "warm_start": before.folder, **rates}
        settings = {"model": before.spec.model, "training": was.model_copy(update=changed)}
        train(place.model_copy(update=settings), self.version, before.spec)

    def _teacher(self) -> TeacherConfig | None:
        """Return the teacher of what is trained; the teachers of folds are trained first, once."""
        own = self.config.compress
        if own.teacher_column is not None:
            return TeacherConfig(column=own.teacher_column, weight=own.label_weight)
        if not own.folds:
            return TeacherConfig(bundle=self.source.folder, weight=own.label_weight)
        for fold in range(len(self.folds), own.folds):
            self.folds.append(self._fold_teacher(FoldConfig(fold=fold, of=own.folds)))
        return TeacherConfig(bundles=tuple(self.folds), weight=own.label_weight)

    def _fold_teacher(self, fold: FoldConfig) -> Path:
        update = {"ensemble": 1, "refit": False, "teacher": None, "warm_start": None, "left_out": fold}
        training = self.config.training.model_copy(update=update)
        place = self._place(self.to / "steps" / f"fold{fold.fold}of{fold.of}", training)
        train(place.model_copy(update={"model": self.source.spec.model}), self.version)
        return named_by(place.layout.bundle)

    def _require_possible(self) -> None:
        own, spec = self.config.compress, self.source.spec
        if own.student is None and not own.cuts:
            raise ConfigError(
                "nothing is asked for: give compress.student, or what to cut (compress.experts, alike, embedding_dim, "
                "min_rows)"
            )
        if self.to.resolve() == self.config.out.resolve():
            raise ConfigError(f"{self.to} holds the source; choose another folder for the cheaper model")
        features, heads = self.config.model_features, self.config.heads
        if not spec.features.same_as(features) or spec.heads != heads:
            raise ConfigError(
                f"model {self.source.manifest.model_version} has other features or heads than the configuration; give "
                "the configuration that it was trained with"
            )
        if own.student is None:
            self._require_cuttable()

    def _require_cuttable(self) -> None:
        name, spec = self.source.manifest.model_version, self.source.spec
        if spec.members > 1:
            raise ConfigError(
                f"model {name} is an ensemble of {spec.members}, and only a single model is cut; let a student learn "
                "from it (compress.student)"
            )
        if json.loads(self.source.read(METRICS))["refit"]:
            raise ConfigError(
                f"model {name} has learned from the validation days, too (training.refit), so nothing is left to "
                "calibrate on what is cut from it; let a student learn from it (compress.student), or give a model "
                "that was trained without"
            )


def _told(before: ModelSpec, after: ModelSpec) -> str:
    """Say what was cut."""
    dims = f"{before.model.embedding_dim} columns of embeddings to {after.model.embedding_dim}"
    experts = [getattr(one.model, "experts", None) for one in (before, after)]
    gone = sum(map(len, after.hidden.values())) - sum(map(len, before.hidden.values()))
    rows = sum(before.vocabulary_sizes) - sum(after.vocabulary_sizes) + gone
    kept = "; ".join(
        f"{head.name} uses {len(of_head)}"
        for head, of_head in zip(after.heads.heads, after.kept_experts[0] if after.kept_experts else (), strict=False)
    )
    return (
        f"experts {experts[0]} to {experts[1]}{f' ({kept})' if kept else ''}, {dims}, {rows:,} values read as unknown"
    )
