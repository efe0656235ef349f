"""The server of a page: its own files and tensors under a secret, isolated, and nothing else of the disk."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from pocketrec.validate.runtimes.web_server import Exchange, Server

ISOLATED = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    started = Server()
    yield started
    started.close()


@pytest.fixture
def exchange(server: Server, tmp_path: Path) -> Iterator[Exchange]:
    for name in ("ort.mjs", "ort.wasm", "ort.js"):
        (tmp_path / name).write_text(name)
    (tmp_path / "main.onnx").write_bytes(b"graph")
    made = Exchange(files=[tmp_path / "main.onnx", tmp_path / "gone.data"], dist=tmp_path, inputs=b"in")
    server.add(made)
    yield made
    server.remove(made)


def ask(
    server: Server, path: str, method: str = "GET", body: bytes | None = None
) -> tuple[int, bytes, dict[str, str]]:
    connection = http.client.HTTPConnection(server.origin.removeprefix("http://"), timeout=10)
    connection.request(method, path, body)
    answer = connection.getresponse()
    try:
        return answer.status, answer.read(), dict(answer.getheaders())
    finally:
        connection.close()


def test_a_page_gets_what_is_its_own_with_its_type_and_isolated(server: Server, exchange: Exchange) -> None:
    expected = {
        "page.html": "text/html; charset=utf-8",
        "page.mjs": "text/javascript; charset=utf-8",
        "ort/ort.mjs": "text/javascript; charset=utf-8",
        "ort/ort.wasm": "application/wasm",
        "files/0": "application/octet-stream",
        "inputs": "application/octet-stream",
    }
    for name, kind in expected.items():
        status, _, headers = ask(server, f"/{exchange.secret}/{name}")
        assert (status, headers["Content-Type"]) == (200, kind)
        assert ISOLATED.items() <= headers.items()
    assert ask(server, f"/{exchange.secret}/files/0")[1] == b"graph"
    assert ask(server, f"/{exchange.secret}/inputs")[1] == b"in"


def test_tensors_come_back(server: Server, exchange: Exchange) -> None:
    assert ask(server, f"/{exchange.secret}/outputs", "POST", b"out")[0] == 204
    assert exchange.outputs == b"out"


@pytest.mark.parametrize(
    "path",
    [
        "ort/ort.js",
        "ort/../main.onnx",
        "ort/..%2fmain.onnx",
        "files/1",
        "files/2",
        "files/-1",
        "main.onnx",
        "",
    ],
)
def test_nothing_else_is_served(server: Server, exchange: Exchange, path: str) -> None:
    assert ask(server, f"/{exchange.secret}/{path}")[0] == 404


def test_without_the_secret_nothing_is_given_or_taken(server: Server, exchange: Exchange) -> None:
    for path in ("/", "/page.html", "/other/page.html", "page"):
        assert ask(server, path)[0] == 404
    assert ask(server, "/other/outputs", "POST", b"out")[0] == 404
    server.remove(exchange)
    assert ask(server, f"/{exchange.secret}/page.html")[0] == 404
    assert exchange.outputs == b""
