"""Checkpoints on disk: each a folder that appears complete or not at all, the newest and the best kept. Torch-free.

A run may have parts, models that are trained one after the other; each has checkpoints of its own.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Collection
from pathlib import Path

from camoe.contracts.errors import error_text
from camoe.contracts.files import (
    RemotePath,
    atomic_folder,
    is_whole,
    local_folder,
    remove_folder,
    whole_folders,
    write_json,
)
from camoe.contracts.hashing import changed_files, file_hashes
from camoe.contracts.places.stamps import STAMP, next_stamp

STAGING = ".staging-"
# SHA-256 of each of its other files.
HASHES = "hashes.json"
NAME = re.compile(rf"(?P<part>(?P<run>{STAMP.pattern})(-part\d{{2}})?)-epoch\d{{4}}-step\d{{8}}")


def part_name(run: str, number: int) -> str:
    """Name part `number` of `run`, from 1; the first has the name of the run."""
    return f"{run}-part{number:02d}" if number > 1 else run


def checkpoint_name(part: str, epoch: int, step: int) -> str:
    """Name the checkpoint from which `part` goes on at (epoch, step); names are in the order of training."""
    return f"{part}-epoch{epoch:04d}-step{step:08d}"


def new_run(folder: Path) -> str:
    """Make a name for a run that starts now, after those with checkpoints in `folder`; names are in that order."""
    return next_stamp(path.name for path in complete(folder))


def complete(folder: Path, part: str | None = None) -> list[Path]:
    """List all checkpoints under `folder`, or those of one part of a run, oldest first."""
    found = [(NAME.fullmatch(path.name), path) for path in whole_folders(folder, "*")]
    return [path for match, path in found if match and (part is None or match["part"] == part)]


def newest(folder: Path, part: str | None = None) -> Path | None:
    """Return the checkpoint written last, of any run or of one part."""
    return next(reversed(complete(folder, part)), None)


def run_of(checkpoint: Path) -> str:
    """Return the run that wrote `checkpoint`."""
    return checkpoint.name.split("-", 1)[0]


def part_of(checkpoint: Path) -> str:
    """Return the part of a run that wrote `checkpoint`."""
    return checkpoint.name.split("-epoch", 1)[0]


def write_atomically(folder: Path, name: str, write: Callable[[Path], None]) -> Path:
    """Have `write` fill a folder beside the checkpoints, sync all of it, and rename it to `name`.

    A reader sees the whole checkpoint or none; what a killed writer left is removed by the next one, and in an object
    store with the run. A checkpoint that is there already is of the same place in the same run, and stays. Raises what
    `write` raises, and OSError when the disk does not take it; then nothing of it stays.
    """
    target, staging = folder / name, folder / f"{STAGING}{name}"
    for left in folder.glob(f"{STAGING}*"):
        shutil.rmtree(left)
    if is_whole(target):
        return target
    with atomic_folder(target, staging) as made:
        write(made)
        write_json(made / HASHES, file_hashes(made))
    return target


def damage(checkpoint: Path) -> str:
    """Return what is wrong with the files of `checkpoint`; empty where they are those that were written.

    Of a checkpoint that lists no hashes, as earlier versions of the project wrote them, nothing is known to be wrong.
    """
    try:
        there = local_folder(checkpoint)
    except OSError as error:
        return error_text(error)
    try:
        written = json.loads((there / HASHES).read_bytes())
    except FileNotFoundError:
        return ""
    except ValueError:
        return f"{HASHES} is damaged"
    wrong = changed_files(there, written)
    return f"{wrong[0]} is not the file that was written" if wrong else ""


def prune(folder: Path, part: str, keep: int, spare: Collection[str]) -> None:
    """Remove all checkpoints but the newest `keep` of `part`, those named in `spare`, and other parts of its run."""
    kept = {path.name for path in complete(folder, part)[-keep:]} | set(spare)
    for path in complete(folder):
        if path.name not in kept and (part_of(path) == part or not part.startswith(run_of(path))):
            remove_folder(path)


def remove_all(folder: Path) -> None:
    """Remove every checkpoint: the run is over."""
    if isinstance(folder, RemotePath):
        for checkpoint in complete(folder):
            remove_folder(checkpoint)
        folder.remove()
        return
    shutil.rmtree(folder, ignore_errors=True)
