"""The bundles of one output folder: each lies in a folder of its own, and a link names the one that counts.

`out/bundle` links to `out/bundles/<time>-<model version>`. No bundle is changed once it is there: a reader that has
followed the link reads one model, whatever is trained meanwhile, and the models before stay until they are too old.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from camoe.bundle.manifest import Manifest, read_manifest
from camoe.contracts.errors import BundleError
from camoe.contracts.files import move, publish_folder, remove_folder, staged
from camoe.contracts.places.stamps import STAMP, next_stamp, stamp

STAGING = ".staging-"


def versions(link: Path) -> list[Path]:
    """List the bundles that `link` names or named, oldest first; folders of other names are somebody else's."""
    return sorted(path for path in _home(link).glob("*") if STAMP.match(path.name) and path.is_dir())


def current(link: Path) -> Manifest | None:
    """Return the manifest of the bundle that `link` names; None where it names none that can be read."""
    try:
        return read_manifest(link)
    except BundleError:
        return None


@contextmanager
def new_version(link: Path, keep: int) -> Iterator[Path]:
    """Yield an empty folder; once the block has made a bundle of it, let `link` name it and keep the newest `keep`.

    When the block or the disk fails, nothing of it stays and `link` names what it named.
    """
    home = _home(link)
    for left in home.glob(f"{STAGING}*"):
        shutil.rmtree(left)
    before = [_written(link)] if link.exists() else []
    made = next_stamp([*before, *(path.name for path in versions(link))])
    with staged(home / f"{STAGING}{made}") as staging:
        yield staging
        target = home / f"{made}-{read_manifest(staging).model_version}"
        publish_folder(staging, target)
    _keep_plain(link)
    _name(link, target)
    for old in versions(link)[:-keep]:
        remove_folder(old)


def _keep_plain(link: Path) -> None:
    """Move a bundle that lies at `link` itself, as a copied one does, to the others."""
    if link.is_dir() and not link.is_symlink():
        made = current(link)
        move(link, _home(link) / f"{_written(link)}-{made.model_version if made else 'unreadable'}")


def _written(link: Path) -> str:
    return stamp(datetime.fromtimestamp(link.stat().st_mtime, UTC))


def _name(link: Path, target: Path) -> None:
    """Let `link` name `target` from one moment to the next; relative, so that both can be moved together."""
    beside = link.with_name(f".{link.name}.link")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target.relative_to(link.parent), target_is_directory=True)
    move(beside, link)


def _home(link: Path) -> Path:
    return link.with_name(f"{link.name}s")
