"""The interface of what takes a run's figures besides the log. Torch-free."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from camoe.bundle.manifest import Manifest
from camoe.contracts.errors import error_text
from camoe.contracts.shown.redaction import redacted


class Tracker(Protocol):
    """Takes figures by name."""

    def scalars(self, figures: Mapping[str, float], step: int) -> None:
        """Take finite `figures` as they stand after `step` steps of the run."""

    def finish(self, bundle: Path, manifest: Manifest, rows: Sequence[Mapping[str, Any]]) -> None:
        """Take the bundle of `manifest`, and its `rows` of metrics on the validation days."""

    def fail(self) -> None:
        """Take note that the run ends without a bundle."""


@contextlib.contextmanager
def give_up_on(what: str, errors: tuple[type[Exception], ...], stop: Callable[[], None]) -> Iterator[None]:
    """Say so and `stop` when the block fails by one of `errors`: figures are worth less than a model."""
    try:
        yield
    except errors as error:
        stop()
        said = redacted(f"{what} could not be written ({error_text(error)})")
        print(f"train: {said}; training goes on without them", flush=True)
