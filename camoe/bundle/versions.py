"""The bundles of one output folder: each lies in a folder of its own, and a link names the one that counts.

`out/bundle` links to `out/bundles/<time>-<model version>`. No bundle is changed once it is there: a reader that has
followed the link reads one model, whatever is trained meanwhile, and the models before stay until they are too old.

In an object store `out/bundle` is an address that serves a bundle (`camoe.bundle.published`), and the bundles lie below
it, in `out/bundle/bundles/<model version>-<hash of the manifest>`.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from camoe.bundle.manifest import MANIFEST, Manifest, read_manifest
from camoe.bundle.published import fetched, publish
from camoe.contracts.errors import BundleError
from camoe.contracts.files import RemotePath, move, publish_folder, remove_folder, staged
from camoe.contracts.places.stamps import STAMP, next_stamp, stamp

STAGING = ".staging-"


def versions(link: Path) -> list[Path]:
    """List the bundles that `link` names or named, oldest first; folders of other names are somebody else's."""
    if isinstance(link, RemotePath):
        written = {path.parent: path.stat().st_mtime for path in home(link).glob(f"*/{MANIFEST}")}
        return sorted(written, key=lambda path: (written[path], path))
    return sorted(path for path in home(link).glob("*") if STAMP.match(path.name) and path.is_dir())


def named_by(link: Path) -> Path:
    """Return the folder of the bundle that `link` names: where it lies, or where what lies in a store is copied to.

    Raises:
        BundleError: an object store has none there.
    """
    return fetched(link).resolve()


def current(link: Path) -> Manifest | None:
    """Return the manifest of the bundle that `link` names; None where it names none that can be read."""
    try:
        return read_manifest(named_by(link))
    except BundleError:
        return None


@contextmanager
def new_version(link: Path, keep: int) -> Iterator[Path]:
    """Yield an empty folder; once the block has made a bundle of it, let `link` name it and keep the newest `keep`.

    When the block or the disk fails, nothing of it stays and `link` names what it named.
    """
    if isinstance(link, RemotePath):
        with TemporaryDirectory() as folder:
            yield Path(folder)
            served = publish(Path(folder), str(link)).folder
        _remove_old(link, keep, link / served)
        return
    there = home(link)
    for left in there.glob(f"{STAGING}*"):
        shutil.rmtree(left)
    before = [_written(link)] if link.exists() else []
    made = next_stamp([*before, *(path.name for path in versions(link))])
    with staged(there / f"{STAGING}{made}") as staging:
        yield staging
        target = there / f"{made}-{read_manifest(staging).model_version}"
        publish_folder(staging, target)
    _keep_plain(link)
    _name(link, target)
    _remove_old(link, keep, target)


def _remove_old(link: Path, keep: int, named: Path) -> None:
    """Remove all but the one that is named and the newest of the others; a store tells times by the second only."""
    others = [path for path in versions(link) if path != named]
    for old in others[: max(0, len(others) + 1 - keep)]:
        remove_folder(old, MANIFEST)


def _keep_plain(link: Path) -> None:
    """Move a bundle that lies at `link` itself, as a copied one does, to the others."""
    if link.is_dir() and not link.is_symlink():
        made = current(link)
        move(link, home(link) / f"{_written(link)}-{made.model_version if made else 'unreadable'}")


def _written(link: Path) -> str:
    return stamp(datetime.fromtimestamp(link.stat().st_mtime, UTC))


def _name(link: Path, target: Path) -> None:
    """Let `link` name `target` from one moment to the next; relative, so that both can be moved together."""
    beside = link.with_name(f".{link.name}.link")
    beside.unlink(missing_ok=True)
    beside.symlink_to(target.relative_to(link.parent), target_is_directory=True)
    move(beside, link)


def home(link: Path) -> Path:
    """Return the folder in which the bundles lie that `link` names or named."""
    return link / "bundles" if isinstance(link, RemotePath) else link.with_name(f"{link.name}s")
