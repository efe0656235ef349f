"""A server on the loopback interface that gives a page what it needs, and nothing else of the disk.

    /<secret>/page.html, page.mjs         the harness
    /<secret>/ort/<name>                  the modules and WASM files of onnxruntime-web's dist
    /<secret>/files/<number>              an artifact's files
    /<secret>/inputs, outputs             tensors, there and back (`web_frames`)

Every answer carries the headers that isolate the page, so that it has threads and a fine clock.
"""

from __future__ import annotations

import secrets
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from pocketrec.errors import ArtifactError
from pocketrec.outside import open_file

_HARNESS = {"page.html": "web_page.html", "page.mjs": "web_page.mjs"}
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".wasm": "application/wasm",
}
_HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(kw_only=True)
class Exchange:
    """What one page may fetch, and the tensors that go there and back.

    Attributes:
        files: of the artifact; a page asks for them by number.
        dist: onnxruntime-web's folder of modules.
        inputs: the frame that the page fetches next.
        outputs: the frame that it has sent.
        secret: the first part of its paths, which only this page knows.
    """

    files: Sequence[Path]
    dist: Path
    inputs: bytes = b""
    outputs: bytes = b""
    secret: str = field(default_factory=lambda: secrets.token_urlsafe(16))

    def file(self, parts: Sequence[str]) -> Path | None:
        """The file of such a path; None where there is none."""
        match parts:
            case [name] if name in _HARNESS:
                return Path(__file__).parent / _HARNESS[name]
            case ["ort", name] if name in _modules(self.dist):
                return self.dist / name
            case ["files", number] if number in map(str, range(len(self.files))):
                return self.files[int(number)]
        return None


def _modules(dist: Path) -> set[str]:
    return {each.name for each in dist.iterdir() if each.suffix in (".mjs", ".wasm")}


class Server:
    """The server, on a free port and threads of its own, until `close`."""

    def __init__(self) -> None:
        self._exchanges: dict[str, Exchange] = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._http.daemon_threads = True
        self.origin = f"http://127.0.0.1:{self._http.server_address[1]}"
        self._thread = threading.Thread(target=self._http.serve_forever, name="pocketrec web", daemon=True)
        self._thread.start()

    def add(self, exchange: Exchange) -> str:
        """The address of a new page, which serves what the exchange holds until `remove`."""
        self._exchanges[exchange.secret] = exchange
        return f"{self.origin}/{exchange.secret}/page.html"

    def remove(self, exchange: Exchange) -> None:
        """Serves the exchange no longer; a second call does nothing."""
        self._exchanges.pop(exchange.secret, None)

    def close(self) -> None:
        """Ends the server and its threads."""
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        class Handler(_Handler):
            exchanges = self._exchanges

        return Handler


class _Handler(BaseHTTPRequestHandler):
    exchanges: dict[str, Exchange]
    protocol_version = "HTTP/1.1"  # connections stay open
    disable_nagle_algorithm = True
    wbufsize = 1 << 16  # head and body in one packet

    def do_GET(self) -> None:
        exchange, parts = self._asked()
        if exchange is not None and parts == ["inputs"]:
            self._send(exchange.inputs)
            return
        path = None if exchange is None else exchange.file(parts)
        if path is None:
            self._empty(404)
            return
        try:
            file = open_file(path)
        except ArtifactError:
            self._empty(404)
            return
        with file:
            size = file.seek(0, 2)
            file.seek(0)
            self._head(200, size, _TYPES.get(path.suffix, "application/octet-stream"))
            shutil.copyfileobj(file, self.wfile, 1 << 20)

    def do_POST(self) -> None:
        exchange, parts = self._asked()
        length = self.headers.get("Content-Length", "")
        if exchange is None or parts != ["outputs"] or not length.isdecimal():
            self.close_connection = True  # its body is not read
            self._empty(404)
            return
        exchange.outputs = self.rfile.read(int(length))
        self._empty(204)

    def _asked(self) -> tuple[Exchange | None, list[str]]:
        _, secret, *parts = self.path.split("/") if self.path.count("/") > 1 else ("", "", "")
        return self.exchanges.get(secret), parts

    def _send(self, body: bytes) -> None:
        self._head(200, len(body), "application/octet-stream")
        self.wfile.write(body)

    def _empty(self, status: int) -> None:
        self._head(status, 0, "text/plain")

    def _head(self, status: int, length: int, kind: str) -> None:
        self.send_response(status)
        for name, value in _HEADERS.items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class names it so
        """Says nothing: what goes wrong is raised."""
