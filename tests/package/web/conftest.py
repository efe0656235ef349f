"""A small bundle with an ONNX file made by hand, its package, and the tools of npm where they are."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tests.web.workshop import install_tools

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.files import alone_in
from pocketrec.package.bundle import Bundle, publish, read_bundle, seal, staging
from pocketrec.package.web.generate import write_web_package

TOKENS = ("[pad]", "a", "b", "c", "d", "e")
TITLES = ("", "Heat", 'Say "hi"', "`${x}`", "</script>", "Heat")
SCORES = np.arange(36, dtype=np.float32).reshape(6, 6) % 7
TOOLS = Path(__file__).parents[3] / "build" / "web"


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def lines(words: tuple[str, ...]) -> str:
    return "".join(f"{each}\n" for each in words)


def toy_contract(name: str = "history") -> Contract:
    history = Feature(
        name=name,
        kind="id_sequence",
        dtype="int32",
        shape=("batch", "length"),
        vocabulary="item",
        padding_side="left",
        out_of_vocabulary="padding",
    )
    scores = Output(name="scores", meaning="score", dtype="float32", shape=("batch", 6), vocabulary="item")
    item = VocabularySpec(
        size=6, padding_id=0, sha256=digest(lines(TOKENS)), titles_sha256=digest(lines(TITLES))
    )
    return Contract(
        functions={"main": Signature(inputs=(history,), outputs=(scores,))},
        dims={"batch": Dim(min=1, max=4), "length": Dim(min=1, max=3)},
        vocabularies={"item": item},
    )


def toy_model() -> bytes:
    """The mean of the rows of a table at the history's items."""
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Gather", ["table", "history"], ["rows"]),
            node("ReduceMean", ["rows", "axis"], ["scores"], keepdims=0),
        ],
        "toy",
        [helper.make_tensor_value_info("history", TensorProto.INT32, ["batch", "length"])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 6])],
        [numpy_helper.from_array(SCORES, "table"), numpy_helper.from_array(np.array([1], np.int64), "axis")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def make_bundle(
    place: Path, *, name: str = "toy", contract: Contract | None = None, functions: tuple[str, ...] = ()
) -> Bundle:
    """A bundle of the toy for each of `functions`, of the contract's by default."""
    made = contract or toy_contract()
    artifacts = {each: f"artifacts/web/{each}.onnx" for each in functions or made.functions}
    with staging(place) as folder:
        (folder / "artifacts" / "web").mkdir(parents=True)
        (folder / "vocabularies").mkdir()
        for path in artifacts.values():
            (folder / path).write_bytes(toy_model())
        for each in made.vocabularies:
            (folder / "vocabularies" / f"{each}.txt").write_text(lines(TOKENS))
            (folder / "vocabularies" / f"{each}.titles.txt").write_text(lines(TITLES))
        (folder / "contract.json").write_text(json.dumps(made.to_dict()))
        seal(folder, name=name, version="1.0.0", artifacts={"web": artifacts})
        publish(folder, place)
    return read_bundle(place)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return make_bundle(tmp_path / "toy")


@pytest.fixture(scope="session")
def node_modules() -> Path:
    """What the committed lock file names, installed once for all tests."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("not run: node and npm are not here")
    return install_tools(TOOLS)


@pytest.fixture(scope="session")
def compiled(tmp_path_factory: pytest.TempPathFactory, node_modules: Path) -> Path:
    """The toy's package, compiled once for all workers of a run."""
    run = os.environ.get("PYTEST_XDIST_TESTRUNUID", "")
    place = tmp_path_factory.getbasetemp().parent / f"web-{run}" if run else tmp_path_factory.mktemp("web")
    place.mkdir(exist_ok=True)
    (place / "lock").touch()
    with alone_in(place / "lock"):
        if not (place / "done").exists():
            _compile(place, node_modules)
            (place / "done").touch()
    return place / "package"


def _compile(place: Path, node_modules: Path) -> None:
    write_web_package(make_bundle(place / "toy"), place / "package")
    (place / "package" / "node_modules").symlink_to(node_modules)
    done = subprocess.run(
        ["npx", "--no-install", "tsc"], cwd=place / "package", capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
