"""Writes a bundle: whole, or not at all."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from camoe.bundle import manifest as names
from camoe.bundle.calibration import write_calibration
from camoe.bundle.card import model_card
from camoe.bundle.code_version import code_version
from camoe.bundle.graphs import export_heads
from camoe.bundle.manifest import Manifest
from camoe.bundle.settings import write_settings
from camoe.bundle.versions import new_version
from camoe.contracts import encoder as encoders
from camoe.contracts.config_file import Section
from camoe.contracts.encoder import Encoder
from camoe.contracts.errors import TrainingError
from camoe.contracts.files import write_json, write_text
from camoe.contracts.snapshot import Snapshot
from camoe.metrics.platt import Platt
from camoe.model.ensemble import Model
from camoe.model.finite import require_finite
from camoe.model.spec import ModelSpec


@dataclass(frozen=True)
class Origin:
    """Origin of the weights; `config` is the whole configuration that they were trained with."""

    snapshot: Snapshot
    encoder: Encoder
    config: Section


def write_bundle(
    link: Path,
    model: Model,
    spec: ModelSpec,
    origin: Origin,
    metrics: Mapping[str, Any],
    *,
    calibration: Mapping[str, Platt],
    keep: int,
    alive: Callable[[str], object] = str,
) -> Manifest:
    """Write `model` as a bundle that `link` names from then on, and keep the newest `keep` bundles beside it.

    Weights and graphs are float32; `calibration` has one entry a head; `metrics` is metrics.json. `alive` is told what
    is done, before each long part.

    Raises:
        TrainingError: a weight is not finite, or the disk did not take it; `link` names the bundle before, and the
            run's checkpoints stay.
    """
    exported = copy.deepcopy(model).to("cpu", torch.float32).eval()
    weights = {name: value.contiguous() for name, value in exported.state_dict().items()}
    require_finite(weights, "no bundle was written")
    try:
        with new_version(link, keep) as folder:
            save_file(weights, folder / names.WEIGHTS)
            write_text(folder / names.SPEC, spec.model_dump_json(indent=2))
            write_json(folder / names.METRICS, metrics)
            write_calibration(folder, calibration)
            write_settings(folder, origin.config)
            graphs = [folder / names.graph_name(head.name) for head in spec.heads.heads]
            export_heads(exported, graphs, folder / names.WEIGHTS, alive)
            alive("completing the bundle")
            encoders.write(origin.encoder, folder / names.ENCODER)
            manifest = _manifest(folder, spec, origin)
            write_text(folder / names.CARD, model_card(manifest, spec, metrics, calibration))
            manifest = manifest.model_copy(update={"files": names.file_hashes(folder)})
            names.write_manifest(folder, manifest)
    except (OSError, SafetensorError) as error:
        raise TrainingError(
            f"the bundle could not be written to {link}: {error}; make room there, then --resume writes it from the "
            "run's checkpoints, which are kept"
        ) from None
    return manifest


def _manifest(folder: Path, spec: ModelSpec, origin: Origin) -> Manifest:
    hashes = names.file_hashes(folder)
    return Manifest(
        model_version=names.identity(hashes),
        code_version=code_version(),
        table=origin.snapshot.table,
        table_version=origin.snapshot.version,
        snapshot_hash=origin.snapshot.content_hash(),
        feature_schema_hash=spec.features.schema_hash(),
        encoder_version=origin.encoder.version,
        config_hash=origin.config.content_hash(),
        files=hashes,
    )
