"""Every reader of a file goes through `outside`: the source is walked, and FIFOs stand in for each input."""

from __future__ import annotations

import ast
import os
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.test_imports import ROOT, modules

from pocketrec.errors import PocketrecError

# What opens a file by its name, by the last words of the call.
READERS = {
    *("open", "read_text", "read_bytes", "fromfile", "memmap", "loadtxt", "genfromtxt", "mmap"),
    *("np.load", "numpy.load", "torch.load", "jit.load", "export.load", "onnx.load", "ir.load", "json.load"),
    *(
        "tomllib.load",
        "load_file",
        "safe_open",
        "onnx.load_model",
        "load_spec",
        "MLModel",
        "InferenceSession",
    ),
    *("ParquetFile", "read_table", "memory_map", "OSFile", "read_csv", "ZipFile", "is_zipfile"),
}
OUTSIDE = {"open_file", "require_file", "read_file", "_regular"}
WRITES = {"wb", "w", "a"}
ALLOWED = {
    "cli.report: webbrowser.open": "a browser, with the address of a page",
    "validate.report.page.shell: path.read_text": "a template of this package",
    "cli.serve_pipe: os.open": "the null device, in the place of stdin",
    "convert.coreml.canonical: model.read_bytes": "coremltools wrote it a moment ago",
    "convert.coreml.canonical: manifest.read_text": "likewise",
    "convert.coreml.compact: path.read_bytes": "likewise",
    "convert.coreml.multifunction: load_spec": "likewise",
    "convert.coreml.multifunction: np.memmap": "likewise",
    "kept: np.load": "it is handed bytes whose digest was checked",
    "model_zoo.families.prm: load_file": "weights of this package",
    "model_zoo.families.slate: load_file": "weights of this package",
    "model_zoo.training.run: torch.load": "it is handed bytes, and makes tensors alone",
    "model_zoo.data.folders: zipfile.ZipFile": "its digest was checked",
    "package.apps.model_folder: copy.open": "it writes a file that is not there yet",
    "package.apps.tree: path.read_text": "a template of this package",
    "package.host.unicode: path.read_text": "a table of this package",
    "package.swift.model_folder: (folder.path / name).read_bytes": "written and checked a moment ago",
    "package.swift.registry.archive: each.open": "what was written a moment ago",
    "package.swift.registry.archive: zipfile.ZipFile": "it writes a file that is not there yet",
    "package.web.generate: path.read_text": "what was written a moment ago",
    "source.arrays: archive.open": "a member of an archive that was opened",
    "source.exported: zipfile.ZipFile": "it is handed an opened file",
    "validate.artifact.onnx_engine: onnxruntime.InferenceSession": "it is handed bytes",
    "validate.measure.quality: self.open": "the runtimes, by their own readers",
    "validate.runtimes.coreml_framework: ct.models.MLModel": "it is handed a private copy",
    "validate.runtimes.onnx_runtime: onnxruntime.InferenceSession": "load_onnx was here first",
    "validate.profile.framework: ct.models.MLModel": "it is handed a private copy",
    "validate.profile.measure: Path('/proc/self/status').read_text": "the system's own",
    "validate.profile.ops: onnxruntime.InferenceSession": "read_onnx was here first",
    "package.registry.bucket: self._system.open": "a place that fsspec reaches, by its driver",
    "package.registry.fetching: os.open": "a folder, to lock it",
    "package.registry.fetching: part.open": "a file of ours that was looked at, to go on with it",
    "package.publish: os.open": "a folder, to flush it",
    "web_operators: Path(__file__).with_name('web_operators.json').read_text": "a table of this package",
    "validate.measure.machine: Path('/proc/cpuinfo').read_text": "the system's own",
}


def opens(trees: Mapping[str, ast.Module]) -> list[str]:
    """Calls that open a file for reading by a name that did not come through `outside`."""
    found = []
    for name, tree in trees.items():
        if name in ("outside", "files"):
            continue
        for function in ast.walk(tree):
            if isinstance(function, ast.FunctionDef):
                found += [f"{name}: {each}" for each in _opened(function)]
    return sorted(set(found))


def _opened(function: ast.FunctionDef) -> Iterator[str]:
    known = _from_outside(function)
    for node in ast.walk(function):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        if called in ("read_text", "read_bytes"):
            continue  # those of `outside`
        reads = called in READERS or ".".join(called.split(".")[-2:]) in READERS
        reads |= isinstance(node.func, ast.Attribute) and node.func.attr in READERS
        if reads and not _is_safe(node, known):
            yield called


def _from_outside(function: ast.FunctionDef) -> set[str]:
    """Names in the function that hold an opened file, or the path of a regular one."""
    found: set[str] = set()
    for node in ast.walk(function):
        pairs: list[tuple[ast.AST | None, ast.AST]] = []
        if isinstance(node, ast.With):
            pairs = [(each.optional_vars, each.context_expr) for each in node.items]
        elif isinstance(node, ast.Assign):
            pairs = [(node.targets[0], node.value)]
        for target, value in pairs:
            if isinstance(target, ast.Name) and _names(value) & (OUTSIDE | found):
                found.add(target.id)
    return found


def _is_safe(call: ast.Call, known: set[str]) -> bool:
    everything: list[ast.AST] = [*call.args, *(each.value for each in call.keywords)]
    writes = any(isinstance(each, ast.Constant) and each.value in WRITES for each in everything)
    given = call.args[:1] if call.args else []
    held = call.func.value if isinstance(call.func, ast.Attribute) else None
    names = set().union(*map(_names, given), set() if held is None else _names(held))
    return writes or bool(names & (OUTSIDE | known))


def _names(tree: ast.AST) -> set[str]:
    return {each.id for each in ast.walk(tree) if isinstance(each, ast.Name)}


def test_every_reader_goes_through_the_one_place_or_says_why_not() -> None:
    assert [each for each in opens(modules(ROOT)) if each not in ALLOWED] == []


def test_no_reason_outlives_its_reader() -> None:
    assert sorted(set(ALLOWED) - set(opens(modules(ROOT)))) == []


@pytest.mark.parametrize(
    ("text", "call"),
    [
        ("np.load(path)", "np.load"),
        ("path.read_text()", "path.read_text"),
        ("open(path)", "open"),
        ("path.open('rb')", "path.open"),
        ("pq.ParquetFile(path)", "pq.ParquetFile"),
        ("torch.load(path, mmap=True)", "torch.load"),
        ("os.open(path, 0)", "os.open"),
        ("load_file(str(path))", "load_file"),
    ],
)
def test_a_reader_beside_it_is_found(text: str, call: str) -> None:
    assert opens({"a": ast.parse(f"def f(path):\n    {text}")}) == [f"a: {call}"]


@pytest.mark.parametrize(
    "text",
    [
        "np.load(require_file(path))",
        "path.open('wb')",
        "with open_file(path) as file:\n        np.memmap(file)",
        "given = require_file(path)\n    load_file(str(given))",
        "with open_file(path) as file, ZipFile(file) as archive:\n        archive.open('a')",
    ],
)
def test_a_reader_that_goes_through_it_is_none(text: str) -> None:
    assert opens({"a": ast.parse(f"def f(path):\n    {text}")}) == []


RECIPE = """
schema = 1
name = "waits"
version = "1.0"
[model]
factory = "model.py:make"
weights = "w.safetensors"
example = "in.npz"
[contract.dims.batch]
max = 8
[contract.vocabularies.item]
tokens = "items.txt"
[[contract.functions.main.inputs]]
name = "x"
kind = "id"
shape = ["batch"]
vocabulary = "item"
[[contract.functions.main.outputs]]
name = "y"
meaning = "score"
shape = ["batch", 4]
[evaluate]
data = "d.parquet"
kind = "ranking"
output = "y"
[targets.onnx]
"""
MODEL = "import torch\ndef make():\n    return torch.nn.Embedding(4, 4)\n"


def recipe(folder: Path) -> None:
    """A recipe of a model whose every file is there and good, but for the data."""
    import torch
    from safetensors.torch import save_file

    (folder / "model.py").write_text(MODEL)
    (folder / "items.txt").write_text("a\nb\nc\nd\n")
    torch.manual_seed(0)
    tensors = torch.nn.Embedding(4, 4).state_dict()
    save_file(tensors, folder / "w.safetensors")
    torch.save(tensors, folder / "w.pt")
    np.savez(folder / "in.npz", x=np.arange(3))
    (folder / "recipe.toml").write_text(RECIPE)


def _load(folder: Path) -> None:
    from pocketrec.pipeline.recipes import load_recipe
    from pocketrec.pipeline.sources import load_source

    next(iter(load_source(load_recipe(folder / "recipe.toml"), folder).trials))


def _example(folder: Path) -> None:
    from pocketrec.pipeline.sources import read_example

    read_example(folder / "in.npz")


def _weights(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        from pocketrec.recipe import ModelSource
        from pocketrec.source.checkpoint import open_checkpoint
        from pocketrec.source.weights import load_trained

        with suppress(PocketrecError):
            open_checkpoint(folder / name)
        load_trained(ModelSource(factory="model.py:make", weights=name), base=folder)

    return read


def _columns(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        from pocketrec.source.columns import read_rows, schema_of

        with suppress(PocketrecError):
            next(read_rows(folder / name, ["x"], 0))
        schema_of(folder / name)

    return read


def _convert(*arguments: str) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        from click.testing import CliRunner

        from pocketrec.cli.main import main

        given = [str(folder / each) if "." in each else each for each in arguments]
        done = CliRunner().invoke(main, ["convert", *given, "--out", str(folder / "out")])
        assert done.exit_code == 2, done.output
        raise PocketrecError(done.stderr)

    return run


def _measured(folder: Path) -> None:
    from pocketrec.pipeline.measurements import MeasurementFile

    MeasurementFile(folder / "measurements.jsonl", ["auc"])


def _saved(name: str) -> Callable[[Path], None]:
    def read(folder: Path) -> None:
        from pocketrec.source.saved import load_saved

        load_saved(folder / name)

    return read


def _command(*words: str) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        from click.testing import CliRunner

        from pocketrec.cli.main import main

        done = CliRunner().invoke(main, [str(folder / each) if "." in each else each for each in words])
        assert done.exit_code == 2, done.output
        raise PocketrecError(done.stderr)

    return run


def _key(read: str) -> Callable[[Path], None]:
    def run(folder: Path) -> None:
        from pocketrec.package.sign.keys import read_private_key, read_public_key

        if read == "release.pem":
            read_private_key(folder / read, lambda: None)
        read_public_key(folder / read)

    return run


READ: dict[str, Callable[[Path], None]] = {
    "release.pem": _key("release.pem"),
    "release.pub.pem": _key("release.pub.pem"),
    "log.parquet": _command("experiment", "estimate", "log.parquet"),
    "experiment.toml": _command("assign", "--experiment", "experiment.toml", "user"),
    "users.txt": _command(
        "assign", "--salt", "s", *("--variant=a=1", "--variant=b=1"), "--units", "users.txt"
    ),
    "recipe.toml": _load,
    "model.py": _load,
    "items.txt": _load,
    "in.npz": _example,
    "w.safetensors": _weights("w.safetensors"),
    "w.pt": _weights("w.pt"),
    "w.safetensors.index.json": _weights("w.safetensors.index.json"),
    "d.parquet": _columns("d.parquet"),
    "d.arrow": _columns("d.arrow"),
    "measurements.jsonl": _measured,
    "m.pt": _saved("m.pt"),
    "m.pt2": _saved("m.pt2"),
    "m.bin": _convert("m.bin", "--example", "in.npz"),
    "module": _convert("module.", "--example", "in.npz"),
    "contract.json": _convert("m.py:make", "--example", "in.npz", "--contract", "contract.json"),
    "plan.toml": _convert("m.py:make", "--example", "in.npz", "--compress", "plan.toml"),
    "e.npz": _convert("m.py:make", "--example", "e.npz"),
}


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("make", [os.mkfifo, lambda path: path.symlink_to("/dev/zero")], ids=["fifo", "zero"])
def test_nothing_is_waited_for_in_place_of_any_input(name: str, make: Any, tmp_path: Path) -> None:
    recipe(tmp_path)
    shutil.copy(tmp_path / "model.py", tmp_path / "m.py")
    place = tmp_path / (f"{name}." if name == "module" else name)
    place.unlink(missing_ok=True)
    make(place)
    error = ended(lambda: READ[name](tmp_path), place)
    assert isinstance(error, PocketrecError), error
    assert name in str(error)


def ended(call: Callable[[], None], place: Path) -> BaseException | None:
    """What the call raises; a failure where it still waits for the FIFO after half a minute."""
    raised: list[BaseException] = []

    def run() -> None:
        try:
            call()
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(30)
    if thread.is_alive():
        with suppress(OSError):
            os.close(os.open(place, os.O_WRONLY | os.O_NONBLOCK))  # lets it go
        pytest.fail(f"{place.name}: it is waited for")
    return raised[0] if raised else None


def test_a_call_that_waits_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    os.mkfifo(tmp_path / "f")
    join = threading.Thread.join
    monkeypatch.setattr(threading.Thread, "join", lambda self, timeout=None: join(self, 0.2))
    with pytest.raises(pytest.fail.Exception, match="f: it is waited for"):
        ended(lambda: (tmp_path / "f").open("rb").close(), tmp_path / "f")
