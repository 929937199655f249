"""The registry as lines for a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from camoe.bundle.manifest import MANIFEST, read_manifest
from camoe.bundle.versions import versions
from camoe.contracts.layout import Layout
from camoe.registry.record import CANDIDATE, Change, Registry
from camoe.registry.store import read_registry

# Changes that a listing shows, the newest.
SHOWN = 20


def listed(layout: Layout) -> Iterator[str]:
    """Yield a line a model, those of `layout` that are not in the registry as candidates, and the newest changes.

    Raises:
        RegistryError: the registry is damaged.
        BundleError: a manifest is.
    """
    registry = read_registry(layout.models)
    for version, model in sorted(registry.models.items(), key=lambda item: item[1].since):
        kept = "" if model.kept else ", its copy was deleted"
        yield f"{version}  {model.state:<9}  since {model.since:%Y-%m-%d %H:%M} UTC, from {model.origin}{kept}"
    bundles = [bundle for bundle in versions(layout.bundle) if (bundle / MANIFEST).is_file()]
    candidates = {read_manifest(bundle).model_version: bundle for bundle in bundles}
    for version, bundle in candidates.items():
        if version not in registry.models:
            yield f"{version}  {CANDIDATE:<9}  {bundle}"
    if not registry.models and not candidates:
        yield f"no models: neither in {layout.models} nor beside {layout.bundle}"
    if registry.changes:
        yield "changes, the newest last:"
        yield from (f"  {told(change)}" for change in registry.changes[-SHOWN:])


def last_change(registry: Registry) -> str:
    """Return the last change, and the models that are scored from now on."""
    beside = f", beside it {', '.join(registry.shadows)}" if registry.shadows else ""
    return f"models: {told(registry.changes[-1])}\nmodels: the champion is {registry.champion or 'none'}{beside}"


def told(change: Change) -> str:
    """Return a change in a line: what, when, who and why."""
    judgement = change.judgement
    why = f": {change.reason}" if change.reason else ""
    if judgement is not None:
        days = ", ".join(map(str, judgement.days))
        why = f": by the rule, from the evaluation against {judgement.against} on {days}"
    at = f"{change.at:%Y-%m-%d %H:%M} UTC"
    return f"{at} {change.action} {change.model} to {change.state} by {change.by}{why}"
