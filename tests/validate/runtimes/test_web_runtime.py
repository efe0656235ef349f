"""ONNX Runtime in a browser: the same numbers as on this machine, and every fault one line of ours."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from pocketrec.errors import ArtifactError, ExecutionError, InputError, UnsupportedOp, UsageError
from pocketrec.recipe import Provider
from pocketrec.validate.runtimes.onnx_runtime import OnnxRuntime
from pocketrec.validate.runtimes.runtime import Browsed, Runtime, RuntimeUnavailable
from pocketrec.validate.runtimes.web_browser import Browser
from pocketrec.validate.runtimes.web_places import BUILDS, ONNXRUNTIME_WEB, WebPlaces
from pocketrec.validate.runtimes.web_runtime import WebRuntime

Write = Callable[[Any, list[Any], list[Any]], Path]
KINDS = {
    "float32": TensorProto.FLOAT,
    "int32": TensorProto.INT32,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
}


@pytest.fixture(params=["wasm", "webgpu"])
def provider(request: pytest.FixtureRequest) -> Provider:
    found: Provider = request.param
    return found


@pytest.fixture
def table(onnx_file: Path, provider: Provider, browser: Browser) -> Iterator[WebRuntime]:
    with WebRuntime(onnx_file, provider, browser=browser) as opened:
        yield opened


def message(error: type[Exception], call: Callable[[], object]) -> str:
    with pytest.raises(error) as caught:
        call()
    said = str(caught.value)
    assert "\n" not in said
    assert "playwright" not in said.lower()
    return said


def test_it_gives_what_onnx_runtime_gives_for_every_number_of_rows(
    table: WebRuntime, onnx_file: Path, provider: Provider
) -> None:
    assert isinstance(table, Runtime)
    assert isinstance(table, Browsed)
    with OnnxRuntime(onnx_file) as native:
        for ids in ([3], [0, 1, 2, 3, 0]):
            inputs = {"ids": np.array(ids, np.int32)}
            np.testing.assert_array_equal(table.run(inputs)["rows"], native.run(inputs)["rows"])
        here, there = table.describe(), native.describe()
        assert (here.inputs, here.outputs, here.metadata, here.precision) == (
            *(there.inputs, there.outputs, there.metadata),
            there.precision,
        )
    assert here.runtime == f"web-{provider}"
    assert here.version.startswith("onnxruntime-web 1.")
    assert "Chromium" in here.version


def test_it_says_where_it_ran_and_what_goes_over_the_wire(table: WebRuntime, provider: Provider) -> None:
    milliseconds = table.timer({"ids": np.array([1], np.int32)})()
    table.run({"ids": np.array([1], np.int32)})
    facts = table.facts()
    assert min(milliseconds, facts.creation_ms, facts.first_run_ms) >= 0
    assert [each.file for each in facts.files] == ["table.onnx"]
    units = table.describe().compute_units
    if provider == "wasm":
        assert (units, facts.adapter, facts.software) == ("wasm, 1 thread", "", False)
    else:
        assert units.startswith("webgpu (")
        assert units.endswith("0 of 2 nodes on the CPU")
        assert facts.adapter in units
        assert facts.software == ("software: " in units)


def test_inputs_of_every_dtype_and_scalars_come_through(
    onnx_of: Write, browser: Browser, provider: Provider
) -> None:
    shapes: dict[str, list[Any]] = {"float32": ["n", 2], "int32": ["n"], "int64": [], "bool": ["n", "m"]}
    inputs = [helper.make_tensor_value_info(name, KINDS[name], shape) for name, shape in shapes.items()]
    outputs = [helper.make_tensor_value_info(f"{k}_out", KINDS[k], shape) for k, shape in shapes.items()]
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in shapes]
    given: dict[str, Any] = {
        "float32": np.array([[1.5, -0.0], [np.inf, 1e-40]], np.float32),
        "int32": np.array([-(2**31), 5], np.int32),
        "int64": np.array(2**40, np.int64),
        "bool": np.array([[True, False, True]]),
    }
    with WebRuntime(onnx_of(nodes, inputs, outputs), provider, browser=browser) as opened:
        found = opened.run(given)
    for name, array in given.items():
        assert found[f"{name}_out"].dtype == array.dtype
        np.testing.assert_array_equal(found[f"{name}_out"], array)


def test_wrong_inputs_are_refused_before_the_page_sees_them(table: WebRuntime) -> None:
    said = message(InputError, lambda: table.run({"ids": np.array([3])}))
    assert "'ids' is int64; expected int32" in said


def test_an_id_beyond_the_table_is_an_error_on_webassembly(onnx_file: Path, browser: Browser) -> None:
    with WebRuntime(onnx_file, browser=browser) as opened:
        said = message(ExecutionError, lambda: opened.run({"ids": np.array([4], np.int32)}))
        assert said.startswith("table.onnx: ONNX Runtime failed in the page (wasm)")
        assert opened.run({"ids": np.array([3], np.int32)})["rows"].tolist() == [[12.0, 14.0]]


def test_a_damaged_file_is_one_line(onnx_file: Path, browser: Browser) -> None:
    onnx_file.write_bytes(onnx_file.read_bytes()[:60])
    message(ArtifactError, lambda: WebRuntime(onnx_file, browser=browser))


@pytest.mark.parametrize("broken", ["its module", "its WASM"])
def test_an_engine_that_does_not_start_is_not_the_artifacts_fault(
    onnx_file: Path,
    browser: Browser,
    places: WebPlaces,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    broken: str,
) -> None:
    """What is named is the folder of the engine, as no other artifact would make it start."""
    dist = tmp_path / "dist"
    dist.mkdir()
    (tmp_path / "package.json").write_text('{"version": "1.30.0"}')
    for each in (path for path in places.dist.iterdir() if path.suffix in (".mjs", ".wasm")):
        shutil.copyfile(each, dist / each.name) if each.suffix == ".mjs" else (dist / each.name).touch()
    if broken == "its module":
        (dist / BUILDS["wasm"]).write_text("no module (")
    monkeypatch.setenv(ONNXRUNTIME_WEB, str(tmp_path))
    said = message(RuntimeUnavailable, lambda: WebRuntime(onnx_file, browser=browser))
    assert said.startswith(f"onnxruntime-web: {dist} does not start")
    assert "npm install onnxruntime-web@" in said


def test_an_operator_without_a_kernel_is_an_error_and_not_an_absent_runtime(
    onnx_of: Write, browser: Browser
) -> None:
    """An absent runtime may be skipped; an artifact that cannot run there must fail."""
    value = helper.make_tensor_value_info
    node = helper.make_node("Murky", ["x"], ["y"], domain="com.microsoft")
    path = onnx_of([node], [value("x", TensorProto.FLOAT, ["n"])], [value("y", TensorProto.FLOAT, ["n"])])
    said = message(ArtifactError, lambda: WebRuntime(path, browser=browser))
    assert "cannot load it on wasm" in said
    assert "Murky" in said
    assert "build it for format 'web'" in said


def test_what_no_page_holds_is_unsupported(onnx_of: Write, browser: Browser) -> None:
    value = helper.make_tensor_value_info
    node = helper.make_node("Identity", ["x"], ["y"])
    path = onnx_of([node], [value("x", TensorProto.STRING, ["n"])], [value("y", TensorProto.STRING, ["n"])])
    said = message(UnsupportedOp, lambda: WebRuntime(path, browser=browser))
    assert "'x' is" in said
    assert "'onnxruntime'" in said


def test_a_closed_runtime_says_so(table: WebRuntime) -> None:
    table.close()
    table.close()
    assert "is closed" in message(UsageError, lambda: table.run({"ids": np.array([1], np.int32)}))


@pytest.mark.parametrize(
    ("spoiled", "patience", "expected"),
    [
        ("harness.run = () => { for (;;); }", 0.5, "no answer within 0.5 s"),
        ("harness.run = () => 1 + missing", 30.0, "missing is not defined"),
    ],
)
def test_a_page_that_hangs_or_throws_is_one_line_and_others_go_on(
    onnx_file: Path, browser: Browser, spoiled: str, patience: float, expected: str
) -> None:
    ids = {"ids": np.array([1], np.int32)}
    with WebRuntime(onnx_file, browser=browser) as other:
        with WebRuntime(onnx_file, browser=browser, patience=30.0) as opened:
            opened._patience = patience
            page: Any = opened._page
            browser._wait(page._page.evaluate(f"() => {{ {spoiled} }}"), 30)
            assert expected in message(ExecutionError, lambda: opened.run(ids))
            assert "is closed" in message(UsageError, lambda: opened.run(ids))
        assert other.run(ids)["rows"].tolist() == [[4.0, 6.0]]


def test_a_page_that_crashes_is_one_line_and_others_go_on(onnx_file: Path, browser: Browser) -> None:
    ids = {"ids": np.array([1], np.int32)}

    async def crash(page: Any) -> None:
        await (await page.context.new_cdp_session(page)).send("Page.crash")

    with WebRuntime(onnx_file, browser=browser) as other:
        with WebRuntime(onnx_file, browser=browser, patience=60.0) as opened:
            page: Any = opened._page
            browser._wait(page._page.evaluate("() => { harness.run = () => new Promise(() => {}) }"), 30)
            asyncio.run_coroutine_threadsafe(crash(page._page), browser._loop)
            said = message(ExecutionError, lambda: opened.run(ids))
            assert "crashed" in said
            assert "open it again" in said
        assert other.run(ids)["rows"].tolist() == [[4.0, 6.0]]


def test_a_browser_without_webgpu_is_unavailable_and_still_has_webassembly(
    onnx_file: Path, places: WebPlaces
) -> None:
    without = Browser(places, arguments=("--disable-gpu", "--disable-software-rasterizer"))
    try:
        said = message(RuntimeUnavailable, lambda: WebRuntime(onnx_file, "webgpu", browser=without))
        assert "has no WebGPU adapter" in said
        assert "'web-wasm'" in said
        with WebRuntime(onnx_file, browser=without) as opened:
            assert opened.run({"ids": np.array([1], np.int32)})["rows"].tolist() == [[4.0, 6.0]]
    finally:
        without.close()
