"""What a training holds while it runs: its output folder alone, and the version of the table that it reads."""

from __future__ import annotations

from contextlib import AbstractContextManager

from camoe.config.pipeline import Config
from camoe.contracts.errors import TrainingError
from camoe.contracts.layout import Layout
from camoe.contracts.places.leases import leased
from camoe.contracts.places.pins import pinned_here
from camoe.contracts.runs import lock_of

# Beside the leases of the feature job's runs; none of those has this name, since it has a space.
TRAINING = "the training"


def folder_alone(layout: Layout) -> AbstractContextManager[None]:
    """Let no other training use the checkpoints, logs and bundle of `layout` while the block runs.

    Raises:
        TrainingError: another one does.
    """
    return leased(lock_of(layout.leases, TRAINING), f"training in {layout.root}", TrainingError)


def pinned_table(config: Config, version: int) -> AbstractContextManager[object]:
    """Pin the table that the training reads."""
    layout = config.layout
    return pinned_here(
        layout.pins, layout.training, config.training_table, version, job="train", why="training reads it"
    )
