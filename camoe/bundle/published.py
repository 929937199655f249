"""Bundles in an object store: written under names of their own, and one object says which of them counts.

Below the address lie `bundles/<model version>-<hash of the manifest>/`, never changed, and `published.json`, which
names one of them and is replaced in one step. Who reads while another one is published gets one of them, whole.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from uuid import uuid4

from pydantic import ValidationError

from camoe.bundle.manifest import CHANGED, MANIFEST, Manifest, open_bundle
from camoe.contracts.config_file import Section, local_path
from camoe.contracts.errors import BundleError
from camoe.contracts.files import CACHE, atomic_folder, cache_folder, held
from camoe.contracts.places.store import Found, Place, is_address, open_place

POINTER = "published.json"


class Published(Section):
    """The bundle that an address serves: `folder` below it, and the SHA-256 of its manifest.

    `token` is of one publication alone, so that two of one bundle differ.
    """

    model_version: str
    folder: str
    manifest: str
    published: datetime
    token: str


def publish(bundle: Path, address: str) -> Published:
    """Copy the bundle in the folder `bundle` below `address`, and let the address serve it from then on.

    Raises:
        BundleError: it is not whole, or another one was published meanwhile; the address then serves that one.
        PlaceError: the store does not take it; the address serves what it served.
    """
    whole, place = open_bundle(bundle), open_place(address)
    before = place.read(POINTER)
    manifest = (whole.folder / MANIFEST).read_bytes()
    version, digest = whole.manifest.model_version, hashlib.sha256(manifest).hexdigest()
    made = Published(
        model_version=version,
        folder=f"bundles/{version}-{digest[:12]}",
        manifest=digest,
        published=datetime.now(UTC),
        token=uuid4().hex,
    )
    for name in (*whole.manifest.files, MANIFEST):
        place.upload(f"{made.folder}/{name}", whole.folder / name)
    content = made.model_dump_json(indent=2).encode() + b"\n"
    counts = place.create(POINTER, content) if before is None else place.replace(POINTER, content, before.tag)
    if not counts:
        raise BundleError(
            f"another process published a bundle at {place.address} meanwhile; see which one, then publish "
            f"{version} again if it is to be served"
        )
    return made


def fetched(bundle: str | Path) -> Path:
    """Return the folder of a bundle: `bundle` itself, or where what an address serves has been copied to.

    The copy lies in `CAMOE_CACHE`, else in `~/.cache/camoe`, by the hash of its manifest, and is made once.

    Raises:
        BundleError: nothing is published there, or a file is not the one that its manifest names.
        PlaceError: the store does not give it.
    """
    if not is_address(bundle):
        return _local(bundle)
    place = open_place(str(bundle))
    folder, manifest = _served(place)
    digest = hashlib.sha256(manifest).hexdigest()
    target = cache_folder() / digest[:32]
    try:
        with held(target):
            if not target.is_dir():
                with atomic_folder(target, target.with_name(f".staging-{target.name}")) as staging:
                    _download(place, folder, manifest, staging)
    except OSError as error:
        raise BundleError(
            f"the bundle of {place.address} cannot be kept in {target.parent} ({error}); let {CACHE} name a folder "
            "that can be written"
        ) from None
    return target


def _local(bundle: str | Path) -> Path:
    try:
        return Path(str(local_path(str(bundle))))
    except ValueError:
        raise BundleError(
            "a bundle lies in a local folder or at s3://bucket/path, and the address is neither"
        ) from None


def _served(place: Place) -> tuple[str, bytes]:
    """Return the folder below `place` (with a slash, or empty) of the bundle that it serves, and the manifest there.

    A bundle that was copied there as it is, without anything that names it, is served, too.
    """
    pointer = place.read(POINTER)
    published = None if pointer is None else _published(place, pointer)
    folder = "" if published is None else f"{published.folder}/"
    manifest = place.read(f"{folder}{MANIFEST}")
    if manifest is None:
        raise BundleError(
            f"no model bundle at {place.address}{f'/{folder}'.rstrip('/')}; jobs/train.py writes one, jobs/publish.py "
            "puts one there"
        )
    if published is not None and hashlib.sha256(manifest.content).hexdigest() != published.manifest:
        raise _wrong(place, f"{folder}{MANIFEST}", "is not the one that was published")
    return folder, manifest.content


def _published(place: Place, pointer: Found) -> Published:
    try:
        return Published.model_validate_json(pointer.content)
    except ValidationError as error:
        raise _wrong(place, POINTER, f"is damaged ({error.error_count()} errors)") from None


def _download(place: Place, folder: str, manifest: bytes, target: Path) -> None:
    try:
        files = Manifest.model_validate_json(manifest).files
    except ValidationError as error:
        raise _wrong(place, f"{folder}{MANIFEST}", f"is damaged ({error.error_count()} errors)") from None
    for name, digest in files.items():
        if ".." in PurePosixPath(name).parts or PurePosixPath(name).is_absolute():
            raise _wrong(place, f"{folder}{MANIFEST}", "names a file outside of the bundle")
        path = target / name
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            found = place.download(f"{folder}{name}", path)
        except FileNotFoundError:
            raise _wrong(place, f"{folder}{name}", "is missing") from None
        if found != digest:
            raise _wrong(place, f"{folder}{name}", CHANGED)
    (target / MANIFEST).write_bytes(manifest)


def _wrong(place: Place, name: str, how: str) -> BundleError:
    return BundleError(f"the model bundle at {place.address} is broken: {name} {how}; publish it again")
