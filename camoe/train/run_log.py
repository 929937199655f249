"""The file that keeps all that the workers say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def kept(log: Path) -> Iterator[Callable[[str], None]]:
    """What takes texts into `log`, which is made anew; its folder has to be there.

    When the disk takes no more, that is said once, and nothing else is kept: what is said is worth less than a model.

    Raises:
        OSError: the file cannot be made.
    """
    # Without a buffer what was kept is in the file, and closing it has nothing left to fail at.
    with log.open("wb", buffering=0) as file:
        full = False

        def take(text: str) -> None:
            nonlocal full
            try:
                if not full:
                    file.write(text.encode())
            except OSError as error:
                full = True
                print(f"train: {log} could not be written ({error}); training goes on without it", flush=True)

        yield take
