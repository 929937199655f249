"""Learning from a teacher's probabilities beside the labels: those of a column, or those of another model."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from camoe.bundle.calibration import read_calibration
from camoe.bundle.manifest import CONFIG, ENCODER, Bundle, open_bundle, read_manifest
from camoe.bundle.model import read_module
from camoe.bundle.published import fetched
from camoe.config.training import FoldConfig, TrainingConfig
from camoe.contracts import encoder as encoders
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import TrainingError
from camoe.contracts.heads import HeadSet
from camoe.model.ensemble import Model
from camoe.model.loss import Masking, masking_of
from camoe.model.spec import ModelSpec
from camoe.train.loop.tensors import Tensors


@dataclass(frozen=True)
class Teacher:
    """A teacher whose probabilities count beside the labels, which have `weight` where it says something.

    `told` gives them for each head, `[B, H]`, NaN where there are none; `name` is what people know it by. BCE is linear
    in what is to be predicted, so `w BCE(y) + (1 - w) BCE(t)` is `BCE(w y + (1 - w) t)`.
    """

    told: Callable[[Tensors], Tensor]
    weight: float
    name: str

    def mixed(self, label: Tensor, told: Tensor, kept: Tensor) -> Tensor:
        """Return what each head is to predict: labels and the teacher's probabilities, `[B, H]`, to `[B, H]`.

        Where a part of the negatives is left out, the teacher's odds are those among the kept rows, too.

        Args:
            label: 0 or 1.
            told: probabilities among all rows, NaN where the teacher says nothing.
            kept: share of the negatives that each head keeps, `[H]`.

        Raises:
            TrainingError: the teacher has said something that is no probability.
        """
        known = ~torch.isnan(told)
        p = torch.where(known, told, 0.5)
        if bool(((p < 0) | (p > 1)).any()):
            strange = p[(p < 0) | (p > 1)][0].item()
            raise TrainingError(
                f"the {self.name} has the value {strange:g}, and training.teacher takes probabilities; give "
                "null where the teacher says nothing"
            )
        among_kept = p / (p + (1 - p) * kept.to(p.dtype))
        hard = label.to(told.dtype)
        return torch.where(known, self.weight * hard + (1 - self.weight) * among_kept, hard)


@dataclass(frozen=True)
class ColumnTold:
    """Probabilities of the rows' first target, for the heads `taught`, bool `[H]`."""

    taught: Tensor

    def __call__(self, batch: Tensors) -> Tensor:
        """Return `[B, H]`."""
        nothing = torch.tensor(torch.nan, dtype=batch.targets.dtype, device=batch.targets.device)
        return torch.where(self.taught, batch.targets[:, :1], nothing)


@dataclass(frozen=True)
class ModelTold:
    """Calibrated probabilities of another `model` with `masking`: `sigmoid(slope * logit + intercept)`, `[T]` each.

    `owner` int64 `[H, cells]`: which of its heads teaches a head on the rows of a cell of its masking; -1 is none.
    """

    model: Model
    masking: Masking
    slope: Tensor
    intercept: Tensor
    owner: Tensor

    def __call__(self, batch: Tensors) -> Tensor:
        """Return `[B, H]`."""
        with torch.no_grad():
            numeric = batch.numeric.to(torch.float32)
            logits = self.model.logits(batch.categorical, numeric, batch.sequences)
            p = torch.sigmoid(self.slope * logits + self.intercept).to(batch.numeric.dtype)
            owner = self.owner[:, self.masking.cells(batch.slot, batch.categorical)].T
            return torch.where(owner >= 0, p.gather(1, owner.clamp(min=0)), torch.nan)


@dataclass(frozen=True)
class FoldsTold:
    """Probabilities of models each of which has left out a fold of users: on their rows it is the one that tells."""

    models: tuple[ModelTold, ...]

    def __call__(self, batch: Tensors) -> Tensor:
        """Return `[B, H]`."""
        each = torch.stack([model(batch) for model in self.models])
        return each[batch.of_fold(len(self.models)), torch.arange(each.shape[1], device=each.device)]


def make_teacher(training: TrainingConfig, spec: ModelSpec, device: torch.device) -> Teacher | None:
    """Make the teacher that `training` declares for a model of `spec`, None where it declares none.

    Raises:
        BundleError: the teacher's bundle is missing or damaged.
        TrainingError: it reads other features, knows other slots, or has not left out its fold of users.
    """
    declared = training.teacher
    if declared is None:
        return None
    if declared.folders:
        bundles = [open_bundle(fetched(folder)) for folder in declared.folders]
        for bundle in bundles:
            _require_same_inputs(bundle.folder, bundle.spec, spec)
        for fold, bundle in enumerate(bundles if declared.bundles else ()):
            _require_left_out(bundle, FoldConfig(fold=fold, of=len(bundles)))
        models = tuple(_of_model(bundle, spec.heads, device) for bundle in bundles)
        name = f"teacher {', '.join(bundle.manifest.model_version for bundle in bundles)}"
        return Teacher(FoldsTold(models) if declared.bundles else models[0], declared.weight, name)
    objective = declared.objective or spec.heads.objectives[0]
    taught = torch.tensor([head.objective == objective for head in spec.heads.heads], device=device)
    return Teacher(ColumnTold(taught), declared.weight, f"target {declared.column}")


def require_known_values(training: TrainingConfig, encoder: Encoder) -> None:
    """Raise `TrainingError` unless the values of the teacher's bundle have the numbers that `encoder` gives them."""
    for path in map(fetched, training.teacher.folders if training.teacher else ()):
        # Its files are checked when the teacher is made.
        if not encoder.continues(encoders.read(path / ENCODER, read_manifest(path).encoder_version)):
            raise TrainingError(
                f"the vocabularies of the teacher {path} are not continued by encoder version {encoder.version}, so "
                "indices would mean other values to it; name a teacher that was trained on this table"
            )


def _of_model(bundle: Bundle, heads: HeadSet, device: torch.device) -> ModelTold:
    masking, calibration = masking_of(bundle.spec, adaptive=True), read_calibration(bundle)
    fitted = [calibration[head.name] for head in bundle.spec.heads.heads]
    own = bundle.spec.heads
    owner = torch.full((len(heads.heads), len(masking.served)), -1, dtype=torch.int64)
    for place, head in enumerate(heads.heads):
        for other, its in enumerate(own.heads):
            if its.objective == head.objective:
                owner[place, masking.served[:, other]] = other
    return ModelTold(
        read_module(bundle).to(device),
        masking.to(device),
        torch.tensor([platt.slope for platt in fitted], device=device),
        torch.tensor([platt.intercept for platt in fitted], device=device),
        owner.to(device),
    )


def _require_left_out(bundle: Bundle, fold: FoldConfig) -> None:
    """Raise `TrainingError` unless the model of `bundle` has learned nothing from the users of `fold`."""
    found = json.loads(bundle.read(CONFIG))["training"].get("left_out")
    if found != fold.model_dump():
        raise TrainingError(
            f"the teacher {bundle.folder} has not left out fold {fold.fold} of {fold.of} of the users, on whose rows "
            f"it would teach; train it with training.left_out='{{fold: {fold.fold}, of: {fold.of}}}'"
        )


def _require_same_inputs(path: Path, teacher: ModelSpec, spec: ModelSpec) -> None:
    if not teacher.features.same_as(spec.features):
        raise TrainingError(f"the teacher {path} reads other features than this run; name one that was trained on them")
    theirs, ours = ([slot.id for slot in one.slots.slots] for one in (teacher, spec))
    if theirs != ours:
        raise TrainingError(f"the teacher {path} knows the slots {', '.join(theirs)}, this run has {', '.join(ours)}")
