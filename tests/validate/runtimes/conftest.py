"""One browser for all tests of a worker; where there is none, they say that they were not run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.validate.runtimes.fake_mac import Mac

from pocketrec.validate.runtimes.runtime import RuntimeUnavailable
from pocketrec.validate.runtimes.web_browser import Browser
from pocketrec.validate.runtimes.web_places import WebPlaces, find_places

Write = Callable[[Any, list[Any], list[Any]], Path]


@pytest.fixture(scope="session")
def places() -> WebPlaces:
    try:
        return find_places()
    except RuntimeUnavailable as error:
        pytest.skip(f"not run: {error}")


@pytest.fixture(scope="session")
def browser(places: WebPlaces) -> Iterator[Browser]:
    started = Browser(places)
    yield started
    started.close()


@pytest.fixture
def onnx_of(tmp_path: Path) -> Write:
    """Writes a graph of nodes, inputs and outputs as a file."""
    import onnx
    from onnx import helper

    def write(nodes: Any, inputs: list[Any], outputs: list[Any]) -> Path:
        graph = helper.make_graph(nodes, "main", inputs, outputs)
        opsets = [helper.make_opsetid("", 20), helper.make_opsetid("com.microsoft", 1)]
        path = tmp_path / "graph.onnx"
        onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), str(path))
        return path

    return write


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mac:
    """A fake Mac, whose framework is honest until told otherwise."""
    return Mac(monkeypatch, tmp_path)
