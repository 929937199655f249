"""What spark-submit asks a Kubernetes cluster for, by the shipped settings: read by a stand-in for its API server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import pytest

from tests.jobs.commands import run

pytestmark = [pytest.mark.spark, pytest.mark.slow]

JOB = "local:///opt/camoe/jobs/build_features.py"
CONFIG = "/opt/camoe/conf/synthetic.yaml"


class ApiServer(BaseHTTPRequestHandler):
    """A server that says yes to whatever is to be made, and remembers it."""

    protocol_version = "HTTP/1.1"
    made: dict[str, dict[str, Any]]

    def log_message(self, *_):
        pass

    def _answer(self, code, body):
        content = json.dumps(body).encode()
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        content = b""
        while size := int(self.rfile.readline(), 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def do_POST(self):
        asked = json.loads(self._body())
        asked.setdefault("metadata", {}).update(uid="1", resourceVersion="1", creationTimestamp="2026-01-01T00:00:00Z")
        self.made[asked["kind"]] = asked
        self._answer(201, asked)

    do_PATCH = do_PUT = do_POST  # noqa: N815 - names that http.server looks for

    def do_GET(self):
        pod = self.made.get("Pod")
        if "/pods/" in self.path and pod and "watch" not in self.path:
            self._answer(200, pod | {"status": {"phase": "Succeeded"}})
        else:
            self._answer(404, {"kind": "Status", "code": 404, "status": "Failure", "reason": "NotFound"})


@contextmanager
def api_server() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the server's address, and what it has been asked to make, by kind."""
    made: dict[str, dict[str, Any]] = {}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Server", (ApiServer,), {"made": made}))
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", made
    finally:
        server.shutdown()
        server.server_close()


def test_the_driver_has_an_account_memory_for_python_and_the_shared_disk(tmp_path):
    with api_server() as (address, made):
        settings = {
            "spark.master": f"k8s://{address}",
            "spark.kubernetes.submission.waitAppCompletion": "false",
        }
        given = [part for key, value in settings.items() for part in ("--conf", f"{key}={value}")]
        run(
            ["spark-submit", "--properties-file", "conf/spark/kubernetes.conf", *given, JOB, "--config", CONFIG,
             "out=/shared/mine"]
        )  # fmt: skip
    pod = made["Pod"]["spec"]
    driver = pod["containers"][0]
    assert driver["image"] == "camoe:0.1.0"
    assert pod["serviceAccountName"] == "camoe"
    assert driver["resources"]["requests"]["memory"] == "8192Mi"
    assert {"/shared"} <= {mount["mountPath"] for mount in driver["volumeMounts"]}
    claims = [
        volume["persistentVolumeClaim"]["claimName"] for volume in pod["volumes"] if "persistentVolumeClaim" in volume
    ]
    assert claims == ["camoe"]
    assert driver["args"][-4:] == [JOB, "--config", CONFIG, "out=/shared/mine"]
    told = made["ConfigMap"]["data"]["spark.properties"]
    for setting in (
        "spark.authenticate=true",
        "spark.network.crypto.enabled=true",
        "spark.driver.blockManager.port=7079",
    ):
        assert setting in told
    # Delta's JARs are the image's: nothing is fetched where there may be neither net nor a folder to put it into.
    assert "spark.jars" not in told.replace("spark.jars.ivy", "")
