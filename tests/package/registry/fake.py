"""A registry of a few lines on this machine, which counts what it is sent and can be told to misbehave."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from pocketrec.package.registry.modelpack import INDEX

Answer = tuple[int, dict[str, str], bytes]
Hook = Callable[[str, str, Any], Answer | None]


def never(method: str, path: str, headers: Any) -> Answer | None:
    return None


@dataclass
class Fake:
    """What the registry has, what it was asked, and how it misbehaves.

    Attributes:
        ranges: whether a blob can be asked for from the middle.
        referrers: whether it keeps the list of what refers to a manifest.
        basic: user and password that it asks for; empty for nobody.
        tokens: which of its tokens are good; None where it asks for none.
        tokens_asked: how many it gave.
        cut: after how many bytes of which blob the connection breaks.
        hook: answers in the registry's place, where it answers at all.
        log: method and path of each request.
        received: bytes of blobs that came.
        given: bytes of blobs that went, by digest.
    """

    port: int = 0
    ranges: bool = True
    referrers: bool = True
    basic: str = ""
    tokens: set[str] | None = None
    tokens_asked: int = 0
    cut: dict[str, int] = field(default_factory=dict)
    hook: Hook = never
    blobs: dict[str, bytes] = field(default_factory=dict)
    manifests: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    log: list[tuple[str, str]] = field(default_factory=list)
    received: int = 0
    given: Counter[str] = field(default_factory=Counter)

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def tags(self) -> list[str]:
        return sorted(name for name in self.manifests if ":" not in name)

    def answer(self, method: str, path: str, headers: Any, data: bytes) -> Answer:
        self.log.append((method, path))
        replaced = self.hook(method, path, headers)
        if replaced is not None:
            return replaced
        if path.startswith("/token"):
            return self._token(headers)
        if (refused := self._refused(headers)) is not None:
            return refused
        for pattern, name in (
            (r"/v2/(.+)/blobs/uploads/.*", "_upload"),
            (r"/v2/(.+)/blobs/([^/?]+)", "_blob"),
            (r"/v2/(.+)/manifests/([^/?]+)", "_manifest"),
            (r"/v2/(.+)/referrers/([^/?]+)", "_referrers"),
            (r"/v2/(.+)/tags/list.*", "_tags"),
        ):
            if found := re.fullmatch(pattern, path):
                answer: Answer = getattr(self, name)(method, path, found[found.lastindex or 1], headers, data)
                return answer
        return 404, {}, b""

    def _refused(self, headers: Any) -> Answer | None:
        said = headers.get("Authorization", "")
        if self.tokens is not None and said.removeprefix("Bearer ") not in self.tokens:
            realm = f'Bearer realm="http://{self.host}/token",service="fake",scope="repository:a:pull,push"'
            return 401, {"WWW-Authenticate": realm}, b""
        if self.tokens is None and self.basic and said != f"Basic {self._basic()}":
            return 401, {"WWW-Authenticate": 'Basic realm="fake"'}, b""
        return None

    def _basic(self) -> str:
        return base64.b64encode(self.basic.encode()).decode()

    def _token(self, headers: Any) -> Answer:
        if self.basic and headers.get("Authorization") != f"Basic {self._basic()}":
            return 401, {}, b""
        self.tokens_asked += 1
        token = f"token-{self.tokens_asked}"
        assert self.tokens is not None
        self.tokens.add(token)
        return 200, {}, json.dumps({"token": token}).encode()

    def _upload(self, method: str, path: str, name: str, headers: Any, data: bytes) -> Answer:
        if method == "POST":
            return 202, {"Location": f"/v2/a/blobs/uploads/{len(self.log)}?state=x"}, b""
        digest = path.rpartition("digest=")[2].replace("%3A", ":")
        self.received += len(data)
        if digest != f"sha256:{hashlib.sha256(data).hexdigest()}":
            return 400, {}, json.dumps({"errors": [{"code": "DIGEST_INVALID"}]}).encode()
        self.blobs[digest] = data
        return 201, {}, b""

    def _blob(self, method: str, path: str, name: str, headers: Any, data: bytes) -> Answer:
        if name not in self.blobs:
            return 404, {}, b'{"errors":[{"code":"BLOB_UNKNOWN"}]}'
        content = self.blobs[name]
        if method == "HEAD":
            return 200, {"Content-Length": str(len(content))}, b""
        start = int(headers.get("Range", "bytes=0-")[6:-1]) if self.ranges else 0
        if start and start < len(content):
            return 206, {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}, content[start:]
        return 200, {}, content

    def _manifest(self, method: str, path: str, name: str, headers: Any, data: bytes) -> Answer:
        if method == "PUT":
            kind, digest = headers.get("Content-Type", ""), f"sha256:{hashlib.sha256(data).hexdigest()}"
            self.manifests[name] = self.manifests[digest] = (kind, data)
            subject = self.referrers and "subject" in json.loads(data)
            return 201, {"OCI-Subject": "yes"} if subject else {}, b""
        if name not in self.manifests:
            return 404, {}, b'{"errors":[{"code":"MANIFEST_UNKNOWN"}]}'
        kind, content = self.manifests[name]
        return 200, {"Content-Type": kind}, content

    def _referrers(self, method: str, path: str, name: str, headers: Any, data: bytes) -> Answer:
        if not self.referrers:
            return 404, {}, b"404 page not found"
        listed = [
            {
                "mediaType": kind,
                "digest": digest,
                "size": len(content),
                "artifactType": json.loads(content).get("artifactType"),
            }
            for digest, (kind, content) in self.manifests.items()
            if ":" in digest and json.loads(content).get("subject", {}).get("digest") == name
        ]
        body = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": listed}).encode()
        return 200, {"Content-Type": INDEX}, body

    def _tags(self, method: str, path: str, name: str, headers: Any, data: bytes) -> Answer:
        """Two tags a page, as registries may."""
        last = path.partition("last=")[2]
        tags = [each for each in self.tags() if each > last]
        more = {"Link": f'</v2/a/tags/list?last={tags[1]}>; rel="next"'} if len(tags) > 2 else {}
        return 200, more, json.dumps({"tags": tags[:2]}).encode()


@contextmanager
def fake_registry() -> Iterator[Fake]:
    fake = Fake()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, headers, body = fake.answer(self.command, self.path, self.headers, data)
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "HEAD":
                return
            end = (
                fake.cut.pop(self.path.rpartition("/")[2], len(body)) if "/blobs/" in self.path else len(body)
            )
            if "/blobs/" in self.path and self.command == "GET":
                fake.given[self.path.rpartition("/")[2]] += min(end, len(body))
            self.wfile.write(body[:end])
            if end < len(body):
                self.wfile.flush()
                self.close_connection = True
                self.connection.shutdown(2)

        do_GET = do_HEAD = do_POST = do_PUT = _serve  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    fake.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
