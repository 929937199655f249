"""The error of the maintenance commands."""

from __future__ import annotations

from camoe.contracts.errors import CamoeError


class MaintenanceError(CamoeError):
    """A table cannot be maintained as asked; nothing was removed that a reader could need."""
