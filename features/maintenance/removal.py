"""Removal of a file or folder."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from camoe.contracts.errors import MaintenanceError
from camoe.contracts.files import RemotePath


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; one that is gone already is no error.

    Raises:
        MaintenanceError: it cannot be removed.
    """
    try:
        with suppress(FileNotFoundError):
            if isinstance(path, RemotePath):
                path.remove()
            elif path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
    except OSError as error:
        raise MaintenanceError(f"{path} cannot be removed ({error.strerror}); mend that and run it again") from None
