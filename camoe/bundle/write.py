"""Writes a bundle: beside its place first, then in one rename."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from camoe.bundle import manifest as names
from camoe.bundle.calibration import CALIBRATION, write_calibration
from camoe.bundle.card import model_card
from camoe.bundle.code_version import code_version
from camoe.bundle.graphs import export_heads
from camoe.bundle.manifest import Manifest
from camoe.bundle.settings import write_settings
from camoe.contracts import encoder as encoders
from camoe.contracts.config_file import Section
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import TrainingError
from camoe.contracts.files import atomic_folder, put_back, write_json, write_text
from camoe.contracts.hashing import short_hash
from camoe.contracts.snapshot import Snapshot
from camoe.metrics.platt import Platt
from camoe.model.camoe import Camoe
from camoe.model.spec import ModelSpec


@dataclass(frozen=True)
class Origin:
    """Origin of the weights; `config` is the whole configuration that they were trained with."""

    snapshot: Snapshot
    encoder: Encoder
    config: Section


def write_bundle(
    target: Path,
    model: Camoe,
    spec: ModelSpec,
    origin: Origin,
    metrics: Mapping[str, Any],
    *,
    calibration: Mapping[str, Platt],
) -> Manifest:
    """Write `model` as a bundle at `target`, replacing the one there; weights and graphs are float32.

    `calibration` has one entry a head; `metrics` is metrics.json.

    Raises:
        TrainingError: the disk did not take it; the bundle at `target` stays, and so do the run's checkpoints.
    """
    with _staged(target) as staging:
        exported = copy.deepcopy(model).to("cpu", torch.float32).eval()
        save_file({name: value.contiguous() for name, value in exported.state_dict().items()}, staging / names.WEIGHTS)
        write_text(staging / names.SPEC, spec.model_dump_json(indent=2))
        write_json(staging / names.METRICS, metrics)
        write_calibration(staging, calibration)
        write_settings(staging, origin.config)
        graphs = [staging / names.graph_name(head.name) for head in spec.heads.heads]
        export_heads(exported, graphs, staging / names.WEIGHTS)
        encoders.write(origin.encoder, staging / names.ENCODER)
        manifest = _manifest(staging, spec, origin)
        write_text(staging / names.CARD, model_card(manifest, spec, metrics, calibration))
        manifest = manifest.model_copy(update={"files": names.file_hashes(staging)})
        names.write_manifest(staging, manifest)
    return manifest


def _manifest(staging: Path, spec: ModelSpec, origin: Origin) -> Manifest:
    hashes = names.file_hashes(staging)
    identity = hashes[names.WEIGHTS] + hashes[names.SPEC] + hashes[CALIBRATION]
    return Manifest(
        model_version=short_hash(identity, digits=12),
        code_version=code_version(),
        table=origin.snapshot.table,
        table_version=origin.snapshot.version,
        snapshot_hash=origin.snapshot.content_hash(),
        feature_schema_hash=spec.features.schema_hash(),
        encoder_version=origin.encoder.version,
        config_hash=origin.config.content_hash(),
        files=hashes,
    )


@contextlib.contextmanager
def _staged(target: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of `target` once it is filled."""
    aside = names.set_aside(target)
    try:
        # A writer that ended between taking the bundle before away and bringing its own has left it there.
        put_back(target, aside)
        with atomic_folder(target, target.with_name(f".{target.name}-staging"), aside) as staging:
            yield staging
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"the bundle could not be written to {target}: {error}; make room there, then --resume writes it from the "
            "run's checkpoints, which are kept"
        ) from None
