"""Changes of the registry, as functions of what it holds."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime
from itertools import groupby
from typing import Literal

from camoe.registry.record import CHAMPION, RETIRED, Change, Judgement, Model, Registry, RegistryError, State


def change_now(
    action: Literal["promote", "rollback", "retire"],
    model: str,
    state: State,
    reason: str | None,
    judgement: Judgement | None = None,
) -> Change:
    """Return a change that this account makes at this moment."""
    by = f"{os.environ.get('USER') or f'uid {os.getuid()}'} on {socket.gethostname()}"
    at = datetime.now(UTC)
    return Change(at=at, by=by, action=action, model=model, state=state, reason=reason, judgement=judgement)


def promoted(registry: Registry, change: Change, origin: str) -> Registry:
    """Make the model of `change` a shadow, or the champion in place of the one before, which is retired.

    Raises:
        RegistryError: it is the champion already, or was held against one that is not the champion any more.
    """
    version = change.model
    if registry.champion == version:
        raise RegistryError(f"model {version} is the champion already; nothing was changed")
    if change.judgement is not None and change.judgement.against != registry.champion:
        raise RegistryError(
            f"model {version} was held against {change.judgement.against}, and {registry.champion} is the champion by "
            "now; nothing was changed"
        )
    known = registry.models.get(version)
    kept = origin if known is None or not known.kept else known.origin
    models = {**registry.models, version: Model(state=change.state, since=change.at, origin=kept)}
    line = registry.line
    if change.state == CHAMPION:
        if line:
            models[line[-1]] = _in_state(models[line[-1]], change, RETIRED)
        line = (*line, version)
    return Registry(models=models, line=line, changes=(*registry.changes, change))


def before_champion(registry: Registry) -> str:
    """Return the champion before the one of now. Raises `RegistryError` when there is none."""
    if len(registry.line) < 2:
        now = f"{registry.champion} is the first champion" if registry.line else "there is no champion"
        raise RegistryError(f"there is nothing to go back to: {now}; nothing was changed")
    return registry.line[-2]


def rolled_back(registry: Registry, change: Change) -> Registry:
    """Make the champion before, the model of `change`, the champion again, and retire the one of now.

    Raises:
        RegistryError: there is none, or it is another one by now.
    """
    if before_champion(registry) != change.model:
        raise RegistryError(f"model {change.model} is not the champion before any more; nothing was changed")
    last, models = registry.line[-1], dict(registry.models)
    models[last] = _in_state(models[last], change, RETIRED)
    models[change.model] = _in_state(models[change.model], change, CHAMPION)
    return Registry(models=models, line=registry.line[:-1], changes=(*registry.changes, change))


def retired(registry: Registry, change: Change, delete: bool) -> Registry:
    """Retire the model of `change`; with `delete` its copy goes, and no rollback leads to it.

    Raises:
        RegistryError: it is the champion, or the registry does not have it.
    """
    version = change.model
    if registry.champion == version:
        raise RegistryError(f"model {version} is the champion; promote another one or roll back; nothing was changed")
    if version not in registry.models:
        known = ", ".join(sorted(registry.models)) or "none"
        raise RegistryError(f"model {version} is not in the registry, which has {known}; nothing was changed")
    model = _in_state(registry.models[version], change, RETIRED)
    line = registry.line
    if delete:
        model = model.model_copy(update={"kept": False})
        line = tuple(one for one, _ in groupby(one for one in line if one != version))
    models = {**registry.models, version: model}
    return Registry(models=models, line=line, changes=(*registry.changes, change))


def _in_state(model: Model, change: Change, state: str) -> Model:
    return model.model_copy(update={"state": state, "since": change.at})
