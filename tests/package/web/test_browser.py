"""The package in Chromium: the right list, or an error that says the next step; never a wrong list."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pocketrec.validate.runtimes.web_browser import QUIET, SOFTWARE, WEBGPU

HARNESS = """
globalThis.open_model = async (options = {}) => {
  const { Toy } = await import("/dist/src/index.js");
  const ortUrl = new URL("/node_modules/onnxruntime-web/dist/", location.href);
  return Toy.load("/model/", { provider: "wasm", ortUrl, ...options });
};
globalThis.asked = async (options, act = (model) => model.recommend({ history: ["b", "c"], k: 3 })) => {
  try {
    const model = await open_model(options);
    const found = await act(model);
    return { tokens: found?.map?.((each) => each.token), scores: found?.map?.((each) => each.score),
             provider: model.provider, fallback: model.fallback ?? null, threads: model.threads };
  } catch (error) {
    return { error: error.name, code: error.code ?? null, message: error.message };
  }
};
void 0;  // what ends in a function is called
"""


class Served(http.server.SimpleHTTPRequestHandler):
    """A package on loopback, with faults by path, and isolation where it is asked for."""

    faults: dict[str, Any] = {}  # noqa: RUF012 (each server has a class of its own)
    isolated = False

    def do_GET(self) -> None:
        if self.path == "/page.html":
            return self.answer(b"<!doctype html><title>toy</title>", "text/html")
        fault = self.faults.get(self.path)
        if fault is None:
            return super().do_GET()
        if fault == 404:
            return self.send_error(404)
        data = Path(self.translate_path(self.path)).read_bytes()
        return self.answer(fault(data), "application/octet-stream")

    def answer(self, data: bytes, kind: str) -> None:
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def end_headers(self) -> None:
        if self.isolated:
            self.send_header("cross-origin-opener-policy", "same-origin")
            self.send_header("cross-origin-embedder-policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def handler() -> type[Served]:
    return type("Handler", (Served,), {"faults": {}})


@pytest.fixture
def address(compiled: Path, handler: type[Served]) -> Iterator[str]:
    serving = functools.partial(handler, directory=str(compiled))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), serving) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/page.html"
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """Browsers by their flags, each started once."""
    program = os.environ.get("POCKETREC_CHROMIUM") or shutil.which("chromium")
    if program is None:
        pytest.skip("not run: chromium is not here")
    api = pytest.importorskip("playwright.sync_api", reason="not run: playwright is not here")
    with api.sync_playwright() as playwright:
        started: dict[tuple[str, ...], Any] = {}

        def browser(*more: str) -> Any:
            if more not in started:
                started[more] = playwright.chromium.launch(
                    executable_path=program, args=[*QUIET, *more], chromium_sandbox=os.geteuid() != 0
                )
            return started[more]

        yield browser
        for each in started.values():
            each.close()


@pytest.fixture
def page(chromium: Any, address: str) -> Iterator[Any]:
    context = chromium().new_context()
    yield visit(context, address)
    context.close()


def visit(context: Any, address: str) -> Any:
    page = context.new_page()
    page.goto(address)
    page.evaluate(HARNESS)
    return page


def asked(page: Any, options: str = "{}", act: str = "undefined") -> dict[str, Any]:
    found: dict[str, Any] = page.evaluate(f"() => asked({options}, {act})")
    return found


def flipped(data: bytes) -> bytes:
    return data[:-9] + bytes([data[-9] ^ 1]) + data[-8:]


# The mean of the rows of b and c, 5 6 0 1 2 3 and 4 5 6 0 1 2, without the padding in front.
RIGHT = (["a", "b", "e"], [5.5, 3.0, 2.5])


def is_right(found: dict[str, Any]) -> bool:
    return (found.get("tokens"), found.get("scores")) == RIGHT


def test_wasm_lists_the_best_on_one_thread_without_isolation(page: Any) -> None:
    found = asked(page)
    assert is_right(found), found
    assert (found["provider"], found["fallback"], found["threads"]) == ("wasm", None, 1)


def test_threads_come_with_isolation(page: Any, handler: type[Served], address: str) -> None:
    handler.isolated = True
    page.goto(address)
    page.evaluate(HARNESS)
    found = asked(page, "{threads: 2}")
    assert is_right(found), found
    assert found["threads"] == 2


def test_without_webgpu_it_goes_on_with_wasm_and_says_why(page: Any) -> None:
    page.evaluate("() => Object.defineProperty(navigator, 'gpu', {value: undefined})")
    found = asked(page, '{provider: "webgpu"}')
    assert is_right(found), found
    assert (found["provider"], found["fallback"]) == ("wasm", "this browser has no WebGPU")


def test_webgpu_without_half_floats_lists_the_same(chromium: Any, address: str) -> None:
    context = chromium(*WEBGPU, *SOFTWARE).new_context()
    page = visit(context, address)
    halves = "navigator.gpu.requestAdapter().then(each => each?.features.has('shader-f16') ?? null)"
    assert page.evaluate(halves) is False
    found = asked(page, '{provider: "webgpu"}')
    assert is_right(found), found
    assert (found["provider"], found["fallback"]) == ("webgpu", None)
    assert asked(page, '{provider: "auto"}')["fallback"] == "WebGPU runs in software here"
    context.close()


@pytest.mark.parametrize(
    ("path", "fault", "code", "step"),
    [
        ("/model/main.onnx", lambda data: data[:-5], "altered_file", "copy the package's model folder"),
        ("/model/main.onnx", flipped, "altered_file", "copy the package's model folder"),
        ("/model/item.titles.txt", flipped, "altered_file", "copy the package's model folder"),
        ("/model/main.onnx", 404, "http_status", "host the package's model folder there, whole"),
        ("/model/manifest.json", 404, "http_status", "host the package's model folder there, whole"),
        ("/model/manifest.json", lambda data: data[:-5], "bad_manifest", "copy the package's model folder"),
        (
            "/model/manifest.json",
            lambda data: data.replace(b'"contract_sha256": "', b'"contract_sha256": "0')[:],
            "other_contract",
            "generate the package again",
        ),
    ],
)
def test_a_fault_is_an_error_with_a_next_step(
    page: Any, handler: type[Served], path: str, fault: Any, code: str, step: str
) -> None:
    handler.faults[path] = fault
    found = asked(page)
    assert (found.get("error"), found.get("code")) == ("LoadError", code), found
    assert step in found["message"]


def test_offline_with_a_warm_cache_lists_the_same_and_without_one_says_so(page: Any) -> None:
    assert is_right(asked(page))
    page.route("**/model/**", lambda route: route.abort("internetdisconnected"))
    assert is_right(asked(page))
    found = asked(page, "{cache: false}")
    assert found["code"] == "unreachable", found
    assert "check the connection, then load again" in found["message"]


def test_an_engine_without_its_wasm_says_where_it_comes_from(page: Any) -> None:
    page.route("**/*.wasm", lambda route: route.abort())
    found = asked(page)
    assert found["code"] == "no_runtime", found
    assert "pass ortUrl" in found["message"]


def test_a_damaged_cache_is_fetched_again(page: Any) -> None:
    assert is_right(asked(page))
    damaged = page.evaluate(
        """async () => {
          const cache = await caches.open("pocketrec-1");
          const files = (await cache.keys()).filter((each) => each.url.startsWith("https://sha256."));
          for (const each of files) await cache.put(each, new Response(new Uint8Array(9)));
          return files.length;
        }"""
    )
    assert damaged == 3
    assert is_right(asked(page))
    page.route("**/model/**", lambda route: route.abort("internetdisconnected"))
    assert is_right(asked(page))


def test_two_tabs_at_once_list_the_same(chromium: Any, address: str) -> None:
    context = chromium().new_context()
    tabs = [visit(context, address) for _ in range(2)]
    for each in tabs:
        each.evaluate("() => { globalThis.found = asked({}); }")
    assert all(is_right(each.evaluate("() => found")) for each in tabs)
    context.close()


def test_an_aborted_load_throws_the_reason(page: Any) -> None:
    found = page.evaluate(
        """async () => {
          const stop = new AbortController();
          const found = asked({ signal: stop.signal, onState: () => stop.abort() });
          return found;
        }"""
    )
    assert found["error"] == "AbortError", found


def test_a_disposed_model_refuses(page: Any) -> None:
    act = 'async (model) => { await model.dispose(); return model.recommend({history: ["b"]}); }'
    found = asked(page, act=act)
    assert found["code"] == "disposed", found
    assert "load it again" in found["message"]


def test_a_title_of_two_items_is_no_list(page: Any) -> None:
    found = asked(page, act='(model) => model.recommend({history: ["Heat"]})')
    assert (found["code"], found["message"]) == (
        "ambiguous_title",
        '"Heat" is the title of 2 items: a, e; pass a token',
    )
