"""Files on the local disk or in an S3 object store, read through pyarrow's file systems; lost connections are retried.

A location is an absolute local path, or `s3://bucket/path` (`s3a://` means the same). The store's address, region and
credentials come from the environment alone (`AWS_ENDPOINT_URL`, `AWS_ALLOW_HTTP`, `AWS_REGION`, and what the AWS
libraries look for themselves); credentials are never read here, but to keep them out of what a store's answer says.

All retries are made here, so that their number is the declared one: the AWS SDK under pyarrow and the client in
delta-rs are told to make one attempt.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from threading import Event
from typing import TypeVar
from urllib.parse import urlsplit

import numpy as np
import pyarrow.parquet as pq
from deltalake import DeltaTable
from pyarrow.fs import AwsStandardS3RetryStrategy, FileSystem, FileType, LocalFileSystem, S3FileSystem

from camoe.contracts.config_file import address_or_path
from camoe.contracts.errors import SnapshotError
from camoe.contracts.shown.redaction import redacted

RETRIES = 3
# Waits before the first, second, ... retry double from the first to the longest; half of each is drawn at random.
FIRST_WAIT_S = 0.25
LONGEST_WAIT_S = 5.0
CONNECT_TIMEOUT_S = 3.0
# For how long a store may send nothing.
SILENCE_TIMEOUT_S = 5.0
# For how long one answer to delta-rs may take as a whole; a checkpoint may be large.
ANSWER_TIMEOUT_S = 60

# How the AWS SDK and delta-rs name a connection that broke and a server that cannot answer at the moment.
DROPPED = re.compile(
    r"AWS Error (NETWORK_CONNECTION|REQUEST_TIMEOUT|SLOW_DOWN|THROTTLING|SERVICE_UNAVAILABLE|INTERNAL_FAILURE)\b"
    r"|HTTP status (408|429|5\d\d)\b"
    r"|non-2xx status code:? (408|429|5\d\d)\b"
    r"|\bHTTP error\b"
)
# Whatever else a store answers, a file that is not there apart, tells nothing of the file.
REFUSED = re.compile(r"AWS Error|Generic S3 error|necessary privileges")
# Where the machine's role is asked for, once nothing else has credentials.
METADATA = "169.254.169.254"
TERMINAL_COLOUR = re.compile(r"\x1b\[\d*m")
LONGEST_REASON = 300
ENDPOINT = re.compile(r"https?://[^/?#@]+/?")
COMMIT = re.compile(r"(\d{20})\.json")
# Those before and after a commit.
VERSIONS_HELD = 2

T = TypeVar("T")
_READ: dict[_Commit, DeltaTable] = {}


class LostConnectionError(OSError):
    """The connection to a store broke at every try."""


def say_on_stderr(text: str) -> None:
    """Print lost connections on stderr; the default of `say`."""
    print(f"storage: {text}", file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Storage:
    """A file system, with the number of `retries` of a read whose connection broke. `ended` cuts the waiting short."""

    filesystem: FileSystem
    retries: int = RETRIES
    say: Callable[[str], None] = say_on_stderr
    ended: Event = field(default_factory=Event)

    @property
    def remote(self) -> bool:
        """True when each read costs a round trip."""
        return not isinstance(self.filesystem, LocalFileSystem)

    def parquet(self, location: str) -> pq.ParquetFile:
        """Open the parquet file at `location`; a remote one fetches the ranges of a row group side by side."""
        return pq.ParquetFile(path_of(location), filesystem=self.filesystem, pre_buffer=self.remote)

    def is_folder(self, location: str) -> bool:
        """Return whether a folder is there; in an object store, whether anything is below."""
        found: bool = self.filesystem.get_file_info(path_of(location)).type == FileType.Directory
        return found

    def tried(self, read: Callable[[], T], what: str, to: str = "read") -> T:
        """Return the result of `read`; when its connection breaks, call it again, at most `retries` times, after waits.

        Raises:
            LostConnectionError: the connection broke at the last try, too; `to` and `what` say before what was tried.
            OSError: as `read` does, at once, where no connection broke.
        """
        for tries in count(1):
            try:
                return read()
            except OSError as error:
                if not dropped(error):
                    raise
                if tries > self.retries:
                    raise LostConnectionError(
                        f"connection lost at each of {tries} tries: {error_detail(error)}"
                    ) from None
                self.say(
                    f"lost the connection at try {tries} of {self.retries + 1} to {to} {what}: {error_detail(error)}"
                )
                if self.ended.wait(pause_s(tries)):
                    raise
        raise AssertionError  # The loop has no other end.


def location_of(table: Path | str) -> str:
    """Return `table` as a location: an absolute path, or `s3://bucket/path` without a slash at its end.

    Raises:
        SnapshotError: it is neither; what stands there is not repeated, as it may hold a password.
    """
    try:
        found = str(address_or_path(str(table)))
    except ValueError:
        raise SnapshotError(
            "a table lies at a local path or at s3://bucket/path, and the address given is neither; "
            "give no credentials in it: they are taken from the environment"
        ) from None
    return found if is_remote(found) else str(Path(found).resolve())


def is_remote(location: str) -> bool:
    """Return whether `location` lies in an object store."""
    return "://" in location


def path_of(location: str) -> str:
    """Return the path of `location` on its file system."""
    return location.partition("://")[2] or location


def folders_above(location: str) -> Iterator[str]:
    """Yield the folders that `location` lies in, the nearest first, down from the root or the bucket."""
    while (location := location.rpartition("/")[0]) and not location.endswith("/"):
        yield location


def open_storage(location: str, retries: int = RETRIES, say: Callable[[str], None] = say_on_stderr) -> Storage:
    """Open the storage that holds `location`.

    Raises:
        SnapshotError: `AWS_ENDPOINT_URL` is no address, or plain http and not allowed.
    """
    return Storage(_s3() if is_remote(location) else LocalFileSystem(), retries, say)


def delta_table(location: str, version: int | None = None) -> DeltaTable:
    """Open the Delta table at `location` at `version` (default: the newest).

    A version never changes, so of a local table the last ones that were read are not read again.

    Raises:
        DeltaError, OSError: as delta-rs does.
    """
    key = None if is_remote(location) else _commit_of(location, version)
    found = _READ.get(key) if key else None
    if found is None:
        found = DeltaTable(location, version=version, storage_options=delta_options(location))
        if key and found.version() == key.version:
            _READ[key] = found
            while len(_READ) > VERSIONS_HELD:
                _READ.pop(next(iter(_READ)), None)
    return found


def newest_version(location: str) -> int | None:
    """Return the newest version in the log of the local table at `location`, None where it holds no commit."""
    try:
        with os.scandir(f"{location}/_delta_log") as entries:
            return max((int(found[1]) for entry in entries if (found := COMMIT.fullmatch(entry.name))), default=None)
    except OSError:
        return None


@dataclass(frozen=True)
class _Commit:
    """A commit's entry in a log. A table that is made anew has other ones of the same numbers."""

    location: str
    version: int
    inode: int
    written: int


def _commit_of(location: str, version: int | None) -> _Commit | None:
    number = newest_version(location) if version is None else version
    if number is None:
        return None
    try:
        entry = Path(location, "_delta_log", f"{number:020}.json").stat()
    except OSError:
        return None
    return _Commit(location, number, entry.st_ino, entry.st_mtime_ns)


def delta_options(location: str) -> dict[str, str] | None:
    """Return the options by which delta-rs reaches `location`; it takes the credentials from the environment itself."""
    if not is_remote(location):
        return None
    return {"max_retries": "0", "connect_timeout": f"{CONNECT_TIMEOUT_S:g}s", "timeout": f"{ANSWER_TIMEOUT_S}s"}


def dropped(error: BaseException) -> bool:
    """Return whether a connection broke or a server was overloaded, so that the same read may well succeed later."""
    return isinstance(error, ConnectionError | TimeoutError) or DROPPED.search(_plain(str(error))) is not None


def remedy(error: BaseException) -> str | None:
    """Return what to do where the way to the file is at fault; None where it is the file."""
    if isinstance(error, LostConnectionError):
        return "try again when the store answers"
    if METADATA in str(error):
        return "no credentials are there: give AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role of the machine"
    if isinstance(error, PermissionError) or REFUSED.search(_plain(str(error))):
        return "look at the address, region, credentials and rights that this process has for it"
    return None


def storage_error(error: BaseException) -> str:
    """Return the error that says why a data file cannot be read, and what to do about it."""
    return f"{error_detail(error)}; {remedy(error) or 'rebuild its day'}"


def error_detail(error: BaseException) -> str:
    """Return `error` in one line, without the credentials that a store's answer may repeat."""
    text = redacted(_plain(str(error)))
    return text if len(text) <= LONGEST_REASON else f"{text[:LONGEST_REASON]}..."


def _plain(text: str) -> str:
    # obstore repeats all of it as Rust prints its structures.
    told = text.partition("Debug source:")[0]
    return " ".join(TERMINAL_COLOUR.sub("", told).replace("↳", "").split())


def pause_s(tries: int) -> float:
    """Return the seconds to wait after so many tries; partly drawn at random, so that several do not meet again."""
    longest = min(FIRST_WAIT_S * 2.0 ** min(tries - 1, 9), LONGEST_WAIT_S)
    return float(np.random.default_rng().uniform(longest / 2, longest))


def _s3() -> S3FileSystem:
    address = os.environ.get("AWS_ENDPOINT_URL", "")
    # Of what stands behind the port, pyarrow would leave out what others put before the bucket.
    if address and not ENDPOINT.fullmatch(address):
        raise SnapshotError("AWS_ENDPOINT_URL must read http(s)://host:port, without user and password, and no path")
    endpoint = urlsplit(address)
    if endpoint.scheme == "http" and os.environ.get("AWS_ALLOW_HTTP", "").lower() not in {"1", "true"}:
        raise SnapshotError("AWS_ENDPOINT_URL is plain http, which sends rows unencrypted; set AWS_ALLOW_HTTP=true")
    return S3FileSystem(
        region=os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION"),
        scheme=endpoint.scheme or "https",
        endpoint_override=endpoint.netloc or None,
        connect_timeout=CONNECT_TIMEOUT_S,
        request_timeout=SILENCE_TIMEOUT_S,
        retry_strategy=AwsStandardS3RetryStrategy(max_attempts=1),
    )
