"""The part of the configuration that some features rest on, so that nothing else is read or computed for them."""

from __future__ import annotations

import re
from collections.abc import Collection

from camoe.contracts.features import FeatureSet, Numeric
from camoe.contracts.sources import Sources
from features.check.inputs import expressions

NOTHING = "CAST(NULL AS STRING)"


def narrowed(features: FeatureSet, names: Collection[str]) -> FeatureSet:
    """Return the features of these `names` (of targets: columns), and those without which these cannot be computed.

    A history is one whole, as days share its counts. A categorical whose vocabulary alone is needed has no value.
    """
    wanted = _with_those_they_name(features, names)
    past = {item.name for item in features.history.features} if features.history else set[str]()
    looks_back = bool(wanted & (past | {item.name for item in features.from_log}))
    sequences = tuple(
        item for item in features.sequence if item.name in wanted or (looks_back and item.key is not None)
    )
    shared = {item.vocabulary for item in sequences} - wanted
    categoricals = tuple(
        item if item.name in wanted else item.model_copy(update={"sql": NOTHING})
        for item in features.categorical
        if item.name in wanted | shared
    )
    numerics = tuple(item for item in features.numeric if item.name in wanted)
    if not (categoricals or numerics or sequences or looks_back):
        # Targets stand beside features, of which a set has at least one.
        numerics = (Numeric(name="nothing", sql=NOTHING),)
    return FeatureSet(
        categorical=categoricals,
        numeric=numerics,
        sequence=sequences,
        history=features.history if looks_back else None,
        targets=tuple(item for item in features.targets if item.column in names),
    )


def _with_those_they_name(features: FeatureSet, names: Collection[str]) -> set[str]:
    named = {item.name: item.reads for item in features.numeric}
    wanted, open_names = set(names), list(names)
    while open_names:
        more = [name for name in named.get(open_names.pop(), ()) if name not in wanted]
        wanted.update(more)
        open_names += more
    return wanted


def narrowed_sources(sources: Sources, features: FeatureSet) -> Sources:
    """Return the sources with those entities alone that an expression of the features names."""
    sql = "\n".join(text for _, text in expressions(features))
    named = {
        name: entity
        for name, entity in sources.entities.items()
        if re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", sql, re.IGNORECASE)
    }
    return sources.model_copy(update={"entities": named})
