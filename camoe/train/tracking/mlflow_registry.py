"""The registry of models as MLflow's: a version a model, with aliases for the champion and its shadows. Torch-free."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from camoe.config.training import TrackingConfig
from camoe.contracts.errors import error_text
from camoe.contracts.shown.redaction import redacted
from camoe.registry.record import CHAMPION, SHADOW, Registry
from camoe.train.tracking.mlflow_tracker import imported, run_of_model

MODEL_VERSION, STATE = "model_version", "state"


def fill(config: TrackingConfig, registry: Registry, folder: Path) -> str:
    """Give MLflow's registry the models and states of `registry`, which lies in `folder`; return what came of it.

    The registered model is named as the experiment. What MLflow does not take stays in the lake's registry, and the
    next change of that gives it again.

    Raises:
        ConfigError: MLflow is not installed.
    """
    mlflow = imported()
    try:
        # What a client is given for itself alone is not used wherever it looks.
        mlflow.set_tracking_uri(config.uri)
        mlflow.set_registry_uri(config.uri)
        _fill(mlflow.MlflowClient(), config.experiment, registry, folder)
    except (mlflow.MlflowException, OSError) as error:
        said = f"MLflow at {config.uri} could not be told ({error_text(error)}); the next change tells it all again"
        return redacted(said)
    return redacted(f"MLflow at {config.uri} has registered model {config.experiment}")


def _fill(client: Any, name: str, registry: Registry, folder: Path) -> None:
    if not client.search_registered_models(f"name = '{name}'"):
        client.create_registered_model(name)
    found = {one.tags.get(MODEL_VERSION): one for one in client.search_model_versions(f"name = '{name}'")}
    number: dict[str, str] = {}
    for version, model in registry.models.items():
        if version not in found:
            source, run = _source(client, name, version, folder)
            found[version] = client.create_model_version(name, source, run, tags={MODEL_VERSION: version})
        number[version] = str(found[version].version)
        client.set_model_version_tag(name, number[version], STATE, model.state)
    aliases = {f"{SHADOW}-{version}": number[version] for version in registry.shadows}
    if registry.champion is not None:
        aliases[CHAMPION] = number[registry.champion]
    for old in set(client.get_registered_model(name).aliases) - set(aliases):
        if old.startswith(f"{SHADOW}-"):
            client.delete_registered_model_alias(name, old)
    for alias, version in aliases.items():
        client.set_registered_model_alias(name, alias, version)


def _source(client: Any, experiment: str, version: str, folder: Path) -> tuple[str, str | None]:
    """Return where the bundle lies and the run that trained it: as the run has it, else the copy of the registry."""
    run = run_of_model(client, experiment, version)
    if run is not None:
        return f"{run.info.artifact_uri}/bundle", run.info.run_id
    return (folder / version).resolve().as_uri(), None
