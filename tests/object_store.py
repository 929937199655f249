"""A real S3 server in this process, and a proxy before it that breaks what it is told to break."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer
from pyarrow.fs import LocalFileSystem, S3FileSystem, copy_files

from camoe.contracts.storage import open_storage, path_of

BUCKET = "lake"
KEY_ID, SECRET, TOKEN = "AKIAMADEUPFORTESTS00", "made+up/secret", "made-up-token"
REFUSAL = "<Error><Code>{code}</Code><Message>you sent {sent}</Message></Error>"

# What goes wrong with the request of this line: nothing, "cut", "lost" (done, and the connection closed), "unanswered"
# (done, and nothing said), "silence", or a status with a code.
Fault = Callable[[str], str | None]


def no_fault(_line: str) -> None:
    """Every request is answered."""


def nth(number: int, fault: str, part: str) -> Fault:
    """`fault` for request `number`, counted from 0, of those whose line holds `part`; once."""
    seen = count()
    return lambda line: fault if part in line and next(seen) == number else None


def always(fault: str, part: str) -> Fault:
    """`fault` for every request whose line holds `part`."""
    return lambda line: fault if part in line else None


class Server(ThreadingHTTPServer):
    """Answers each request in a thread of its own."""

    # A client that reads many entries of a log asks for all at once; those that do not fit here wait for seconds.
    request_queue_size = 256


class Proxy:
    """Forwards requests to the server on port `upstream`. `lines` are the requests, `done` the faults of some."""

    def __init__(self, upstream: int) -> None:
        self.upstream = upstream
        self.fault: Fault = no_fault
        self.lines: list[str] = []
        self.done: list[str] = []
        self.closed = threading.Event()
        self._lock = threading.Lock()
        self._server = Server(("127.0.0.1", 0), type("Forwarder", (Forwarder,), {"proxy": self}))
        self.address = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.05])
        self._thread.start()

    def begin(self) -> None:
        """Forget what was, and break nothing."""
        self.fault = no_fault
        self.lines.clear()
        self.done.clear()

    def told(self, line: str) -> str | None:
        """The fault for this request."""
        with self._lock:
            self.lines.append(line)
            fault = self.fault(line)
            if fault is not None:
                self.done.append(fault)
            return fault

    def close(self) -> None:
        self.closed.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Forwarder(BaseHTTPRequestHandler):
    """One request a connection, so that no thread waits for a next one."""

    protocol_version = "HTTP/1.1"
    proxy: Proxy

    def forward(self) -> None:
        self.close_connection = True
        sent = self.body()
        fault = self.proxy.told(f"{self.command} {self.path}")
        if fault == "silence":
            self.proxy.closed.wait(60)
        elif fault is not None and fault not in {"cut", "lost", "unanswered"}:
            status, code = fault.split()
            told = f"{self.headers['Authorization']} {SECRET} {TOKEN}"
            self.answer(int(status), {}, REFUSAL.format(code=code, sent=told).encode(), 1.0)
        else:
            server = http.client.HTTPConnection("127.0.0.1", self.proxy.upstream)
            server.request(self.command, self.path, sent, {**dict(self.headers), "Connection": "close"})
            given = server.getresponse()
            body = given.read()
            if fault == "unanswered":
                self.proxy.closed.wait(60)
            elif fault != "lost":
                self.answer(given.status, dict(given.getheaders()), body, 0.5 if fault == "cut" else 1.0)
            server.close()

    def body(self) -> bytes:
        """What was sent, in one piece; a server reads what is around each chunk of it, such as a checksum, itself."""
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        del self.headers["Transfer-Encoding"]
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = forward  # noqa: N815

    def answer(self, status: int, headers: dict[str, str], body: bytes, part: float) -> None:
        self.send_response_only(status)
        for name, value in {"Content-Length": str(len(body)), **headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: int(len(body) * part)])

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def object_store() -> Iterator[Proxy]:
    """A server with the bucket `BUCKET`, and the proxy before it, which the environment names."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    proxy = Proxy(server.get_host_and_port()[1])
    try:
        with pytest.MonkeyPatch.context() as environment:
            for name, value in {
                "AWS_ENDPOINT_URL": f"http://{proxy.address}",
                "AWS_ALLOW_HTTP": "true",
                "AWS_REGION": "eu-north-1",
                "AWS_ACCESS_KEY_ID": KEY_ID,
                "AWS_SECRET_ACCESS_KEY": SECRET,
                "AWS_SESSION_TOKEN": TOKEN,
                "AWS_EC2_METADATA_DISABLED": "true",
            }.items():
                environment.setenv(name, value)
            # What an earlier server in this process held is still there.
            forget = http.client.HTTPConnection("127.0.0.1", proxy.upstream)
            forget.request("POST", "/moto-api/reset", headers={"Connection": "close"})
            assert forget.getresponse().status == 200
            forget.close()
            S3FileSystem(
                endpoint_override=proxy.address, scheme="http", allow_bucket_creation=True, request_timeout=120
            ).create_dir(BUCKET)
            yield proxy
    finally:
        proxy.close()
        server.stop()


def copied(folder: Path, location: str) -> None:
    """Copy all files of a local folder to an address in the store."""
    # With threads, pyarrow's copying waits for its own threads for ever.
    copy_files(str(folder), path_of(location), LocalFileSystem(), open_storage(location).filesystem, use_threads=False)
