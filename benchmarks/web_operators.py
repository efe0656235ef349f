"""Which operators ONNX Runtime's builds for the web run, and whether they give native ONNX Runtime's numbers.

    POCKETREC_ONNXRUNTIME_WEB=node_modules/onnxruntime-web python benchmarks/web_operators.py [--only OP ...]

Every model of `web_operators_cases` runs in Chromium (POCKETREC_CHROMIUM, or `chromium` on PATH) on three
columns: the wasm provider of the wasm build, and both providers of the WebGPU build; WebGPU in software.
Operators that WebGPU has no kernel for run on the CPU in the same session, which is told apart by a
session that forbids it. Writes src/pocketrec/web_operators.json, which `[targets.web]` and
`pocketrec lint --for web` read, and prints what is wrong or fails in tests of an operator's other forms.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from web_operators_cases import OPSET, Case, cases

from pocketrec.validate.runtimes.web_browser import QUIET, SOFTWARE, WEBGPU

TABLE = Path(__file__).parents[1] / "src" / "pocketrec" / "web_operators.json"
PAGE = Path(__file__).with_name("web_operators_page.html")
COLUMNS = (("ort.wasm.min.mjs", "wasm"), ("ort.webgpu.min.mjs", "wasm"), ("ort.webgpu.min.mjs", "webgpu"))
FLAGS = ("--no-sandbox", *QUIET, *WEBGPU, *SOFTWARE)
_BROKEN = ("abort", "device", "memory access", "unreachable", "not a function", "crash", "table index")
_NO_FALLBACK = "fallback to CPU EP has been explicitly disabled"
Arrays = dict[str, np.ndarray[Any, Any]]


class _Files(SimpleHTTPRequestHandler):
    """The page at /, and onnxruntime-web's files under /ort/."""

    def __init__(self, *args: Any, dist: Path, **kwargs: Any) -> None:
        self._dist = dist
        super().__init__(*args, **kwargs)

    def translate_path(self, path: str) -> str:
        name = path.partition("?")[0].rpartition("/")[2]
        return str(self._dist / name if path.startswith("/ort/") else PAGE)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002
        pass


_Files.extensions_map = {
    **SimpleHTTPRequestHandler.extensions_map,
    ".mjs": "text/javascript",
    ".wasm": "application/wasm",
}


@contextlib.contextmanager
def served(dist: Path) -> Iterator[str]:
    """The address of the page."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, dist=dist))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()


class Browser:
    """A page with one build, loaded anew when a model broke it."""

    def __init__(self, context: Any, address: str) -> None:
        self._context, self._address, self._page, self._build = context, address, None, ""

    def adapter(self) -> str:
        self._open("ort.webgpu.min.mjs")
        return str(self._page.evaluate("() => adapter()"))

    def run(self, case: Case, build: str, provider: str, *, fallback: bool) -> dict[str, Any]:
        for _ in range(2):
            if self._page is None or self._build != build:
                self._open(build)
            inputs = {
                name: {
                    "dtype": each.dtype.name,
                    "dims": list(each.shape),
                    "data": base64.b64encode(np.ascontiguousarray(each).tobytes()).decode(),
                }
                for name, each in case.inputs.items()
            }
            given = [base64.b64encode(case.model).decode(), inputs, provider, fallback]
            try:
                found: dict[str, Any] = self._page.evaluate("(all) => run(...all)", given)
            except Exception as error:
                found = {"place": "run", "error": f"crash: {str(error)[:200]}"}
            if not any(each in found.get("error", "").lower() for each in _BROKEN):
                return found
            self._page.close()  # the model, or one before it, broke what the page has loaded
            self._page = None
        return found

    def _open(self, build: str) -> None:
        if self._page is not None:
            self._page.close()
        self._page, self._build = self._context.new_page(), build
        self._page.goto(self._address)
        self._page.wait_for_function("() => window.load !== undefined")
        self._page.evaluate("(build) => load(build)", build)


def native(case: Case) -> Arrays | None:
    """What native ONNX Runtime gives; None where it has no kernel."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(case.model, options, providers=["CPUExecutionProvider"])
        names = [each.name for each in session.get_outputs()]
        return dict(zip(names, session.run(None, case.inputs), strict=True))
    except Exception:
        return None


def status(case: Case, expected: Arrays, browser: Browser, build: str, provider: str) -> tuple[str, str]:
    """`ok`, `cpu`, `none` (no kernel), `fails` or `wrong`, and what was said."""
    gpu = provider == "webgpu"
    found = browser.run(case, build, provider, fallback=not gpu)
    right = "ok"
    if gpu and _NO_FALLBACK in found.get("error", ""):
        found, right = browser.run(case, build, provider, fallback=True), "cpu"
    if "error" in found:
        return ("none" if found["place"] == "load" else "fails"), found["error"]
    said = _difference(case, expected, found["outputs"])
    return ("wrong", said) if said else (right, "")


def _difference(case: Case, expected: Arrays, outputs: dict[str, Any]) -> str:
    for name, right in expected.items():
        each = outputs[name]
        kind = {"bool": "?", "float16": "<f2"}.get(each["dtype"], each["dtype"])
        given = np.frombuffer(base64.b64decode(each["data"]), kind).reshape(each["dims"])
        if given.dtype != right.dtype or given.shape != right.shape:
            return f"{name}: {given.dtype} {given.shape}, native {right.dtype} {right.shape}"
        if case.drawn:
            continue
        same = given == right
        if right.dtype.kind == "f":
            bound = 2e-2 if "float16" in (case.dtype, right.dtype.name) else 1e-3
            most = np.abs(right[np.isfinite(right)]).max(initial=1)
            same = np.isclose(given, right, rtol=bound, atol=bound * most / 10, equal_nan=True)
        if not np.all(same):
            place = tuple(int(each) for each in np.argwhere(~same)[0])
            return f"{name}{list(place)}: {given[place]}, native {right[place]}"
    return ""


def measure(browser: Browser, chosen: list[tuple[Case, Arrays]]) -> list[tuple[Case, list[tuple[str, str]]]]:
    """Every case with its status, and what was said, in every column."""
    columns = []
    for build, provider in COLUMNS:
        columns.append([status(case, expected, browser, build, provider) for case, expected in chosen])
        print(build, provider, len(chosen), flush=True)
    return [(case, list(each)) for (case, _), each in zip(chosen, zip(*columns, strict=True), strict=True)]


def table(measured: list[tuple[Case, list[tuple[str, str]]]]) -> dict[str, Any]:
    """Operator to type variable to dtype to the three statuses; forms beyond these that are not right."""
    operators: dict[str, dict[str, dict[str, str]]] = {}
    forms: dict[str, dict[str, str]] = {}
    for case, ran in measured:
        states = " ".join(state for state, _ in ran)
        dtypes = operators.setdefault(case.op, {}).setdefault(case.variable or "T", {})
        if "=" in case.name or case.dtype not in dtypes:
            dtypes[case.dtype] = states
        elif states != dtypes[case.dtype] and not set(states.split()) <= {"ok", "cpu"}:
            forms.setdefault(case.op, {})[case.name] = states
    return {"operators": operators, "forms": forms}


def _grouped(dtypes: dict[str, str]) -> dict[str, str]:
    """Statuses to the dtypes that have them."""
    return {
        states: " ".join(sorted(each for each, own in dtypes.items() if own == states and each))
        for states in sorted(set(dtypes.values()))
    }


def written(found: dict[str, Any], versions: dict[str, Any]) -> str:
    """The table as JSON, an operator a line."""
    rows = [
        f"    {json.dumps(op)}: {json.dumps({name: _grouped(each) for name, each in sorted(own.items())})}"
        for op, own in sorted(found["operators"].items())
    ]
    columns = {"columns": [" on ".join(each) for each in COLUMNS], "forms": found["forms"]}
    head = json.dumps({**versions, **columns}, indent=2)
    return head[:-2] + ',\n  "operators": {\n' + ",\n".join(rows) + "\n  }\n}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description="operators x provider of onnxruntime-web")
    parser.add_argument("--only", nargs="+", default=[], metavar="OP")
    parser.add_argument("--opset", type=int, default=OPSET)
    parser.add_argument("--out", type=Path, default=TABLE)
    options = parser.parse_args()
    from playwright.sync_api import sync_playwright

    package = Path(os.environ["POCKETREC_ONNXRUNTIME_WEB"])
    chosen = [
        (case, expected)
        for case in cases(options.opset)
        if not options.only or case.op in options.only
        if (expected := native(case)) is not None
    ]
    chromium = os.environ.get("POCKETREC_CHROMIUM") or shutil.which("chromium")
    with (
        served(package / "dist") as address,
        sync_playwright() as play,
        tempfile.TemporaryDirectory() as profile,
    ):
        context = play.chromium.launch_persistent_context(
            profile, executable_path=chromium, headless=True, args=list(FLAGS)
        )
        browser = Browser(context, address)
        versions = {
            "schema": 1,
            "onnxruntime-web": json.loads((package / "package.json").read_text())["version"],
            "chromium": context.browser.version if context.browser else "",
            "adapter": browser.adapter(),
            "native": onnxruntime.__version__,
            "opset": options.opset,
        }
        measured = measure(browser, chosen)
        context.close()
    found = table(measured)
    for case, ran in measured:
        for column, (state, said) in zip(COLUMNS, ran, strict=True):
            if said and state != "none":
                print(f"{case.op}: {case.name}: {' '.join(column)}: {state}: {said[:160]}")
    options.out.write_text(written(found, versions), encoding="utf-8")


if __name__ == "__main__":
    main()
