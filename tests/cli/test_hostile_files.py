"""Foreign files on every reading command: one line with its code, nothing waited for, nothing written."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner, Result
from onnx import TensorProto, helper
from tests.fuzz.seeds import MODEL, WEIGHTS, make_onnx, make_package

from pocketrec.cli.main import main

Change = Callable[[Path], object]
X = np.ones((2, 3), np.float32)


def call(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(each) for each in arguments])


def read_with_all(artifact: Path, folder: Path) -> dict[str, Result]:
    """What inspect, lint, run and diverge make of an artifact."""
    np.savez(folder / "in.npz", x=X)
    inputs = ("--inputs", folder / "in.npz")
    return {
        "inspect": call("inspect", artifact),
        "lint": call("lint", artifact),
        "run": call("run", artifact, *inputs, "--out", folder / "out.npz"),
        "diverge": call("diverge", artifact, artifact, *inputs),
    }


def assert_refused(done: Mapping[str, Result], *words: str) -> None:
    for command, result in done.items():
        assert result.exit_code in (1, 2), (command, result.output)
        *progress, line = result.stderr.splitlines()
        assert line.startswith("error: "), command
        assert all(each.endswith(" ...") or " s  " in each for each in progress), command
        assert len(line) < 1000
        for word in words:
            assert word in line, command


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_package(tmp_path_factory.mktemp("package") / "m.mlpackage")


@pytest.fixture
def copied(package: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(package, tmp_path / "m.mlpackage"))


def replaced(name: str, make: Change) -> Change:
    def change(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return change


def zeros(path: Path) -> None:
    path.symlink_to("/dev/zero")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize("name", ["Manifest.json", MODEL, WEIGHTS])
@pytest.mark.parametrize("make", [os.mkfifo, zeros, Path.mkdir, loop])
def test_a_part_of_a_package_that_is_no_file_is_named(
    copied: Path, tmp_path: Path, name: str, make: Change
) -> None:
    replaced(name, make)(copied)
    assert_refused(read_with_all(copied, tmp_path), Path(name).name)


@pytest.mark.parametrize("make", [os.mkfifo, zeros, Path.mkdir, loop])
def test_an_onnx_file_or_its_data_that_is_no_file_is_named(tmp_path: Path, make: Change) -> None:
    make_onnx(tmp_path / "m.onnx", external="w.bin")
    replaced("w.bin", make)(tmp_path)
    assert_refused(read_with_all(tmp_path / "m.onnx", tmp_path), "w")
    make(tmp_path / "n.onnx")
    done = read_with_all(tmp_path / "n.onnx", tmp_path)
    assert_refused(done, "n.onnx")


@pytest.mark.parametrize("size", [0, 63, 100])
def test_a_weight_file_that_was_cut_is_found_by_all(copied: Path, tmp_path: Path, size: int) -> None:
    whole = (copied / WEIGHTS).read_bytes()
    (copied / WEIGHTS).write_bytes(whole[:size])
    assert_refused(read_with_all(copied, tmp_path), "weight.bin")


def test_a_weight_file_that_lacks_its_last_byte_is_found_by_all(copied: Path, tmp_path: Path) -> None:
    (copied / WEIGHTS).write_bytes((copied / WEIGHTS).read_bytes().rstrip(b"\0")[:-1])
    assert_refused(read_with_all(copied, tmp_path), "weight.bin", "ends at byte")


@pytest.mark.parametrize(
    "text", ['{"rootModelIdentifier": "\\ud800", "itemInfoEntries": {}}', "[]", "[" * 9999, "{}", "\xff"]
)
def test_a_manifest_that_says_nothing_is_named(copied: Path, tmp_path: Path, text: str) -> None:
    (copied / "Manifest.json").write_bytes(text.encode("latin-1"))
    assert_refused(read_with_all(copied, tmp_path), "Manifest.json")


def with_location(location: str, **entries: str) -> Change:
    def change(path: Path) -> None:
        model = onnx.load(path, load_external_data=False)
        del model.graph.initializer[0].external_data[:]
        for key, value in {"location": location, **entries}.items():
            model.graph.initializer[0].external_data.add(key=key, value=value)
        path.write_bytes(model.SerializeToString())

    return change


def edited(edit: Callable[[onnx.ModelProto], object]) -> Change:
    def change(path: Path) -> None:
        model = onnx.load(path, load_external_data=False)
        edit(model)
        path.write_bytes(model.SerializeToString())

    return change


def unknown_type(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].data_type = 99


def unknown_input_type(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.elem_type = 77


def no_value(model: onnx.ModelProto) -> None:
    model.graph.node.insert(0, helper.make_node("Constant", [], ["c"]))


def recursive(model: onnx.ModelProto) -> None:
    body = [helper.make_node("Again", ["a"], ["b"], domain="own")]
    model.functions.append(
        helper.make_function("own", "Again", ["a"], ["b"], body, [helper.make_opsetid("own", 1)])
    )
    model.opset_import.append(helper.make_opsetid("own", 1))
    model.graph.node.append(helper.make_node("Again", ["y"], ["z"], domain="own"))


def negative(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].dims[0] = -1


ONNX_FAULTS: dict[str, tuple[Change, str]] = {
    "unknown data type": (edited(unknown_type), "data type 99"),
    "unknown input type": (edited(unknown_input_type), "data type 77"),
    "a constant without a value": (edited(no_value), "no value"),
    "a function that calls itself": (edited(recursive), "'Again' calls itself"),
    "a negative size": (edited(negative), "[-1, 4]"),
    "nul in the location": (with_location("a\0b"), "no name of a file"),
    "5,000 characters": (with_location("x" * 5000), "no name of a file"),
    "an absolute location": (with_location("/etc/passwd"), "outside of"),
    "memory as location": (with_location("*/_ORT_MEM_ADDR_/*"), "no such file"),
    "an offset in words": (with_location("w.bin", offset="ten"), "offset is 'ten'"),
    "a negative offset": (with_location("w.bin", offset="-4"), "offset is '-4'"),
    "a length beyond the end": (with_location("w.bin", offset="40"), "ends at byte 88"),
    "a length too short": (with_location("w.bin", length="8"), "8 bytes, its type has 48"),
}


@pytest.mark.parametrize("fault", ONNX_FAULTS)
def test_a_fault_of_an_onnx_file_is_named_by_all(tmp_path: Path, fault: str) -> None:
    change, words = ONNX_FAULTS[fault]
    make_onnx(tmp_path / "m.onnx", external="w.bin")
    change(tmp_path / "m.onnx")
    assert_refused(read_with_all(tmp_path / "m.onnx", tmp_path), words)


def test_a_sequence_output_is_refused_and_said(tmp_path: Path) -> None:
    node = helper.make_node("SequenceConstruct", ["x", "x"], ["s"])
    given = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 3])
    made = helper.make_tensor_sequence_value_info("s", TensorProto.FLOAT, [2, 3])
    graph = helper.make_graph([node], "g", [given], [made])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(tmp_path / "s.onnx"))
    np.savez(tmp_path / "in.npz", x=X)
    done = call("run", tmp_path / "s.onnx", "--inputs", tmp_path / "in.npz", "--out", tmp_path / "o.npz")
    assert_refused({"run": done}, "'s' is a seq(tensor(float))")


def test_unsigned_ids_are_a_usage_error(tmp_path: Path) -> None:
    np.savez(tmp_path / "in.npz", ids=np.ones((2, 3), np.uint32))
    (tmp_path / "m.py").write_text("import torch\ndef make(): return torch.nn.Embedding(5, 2)\n")
    done = call("convert", f"{tmp_path}/m.py:make", "--example", tmp_path / "in.npz", "--out", tmp_path / "o")
    assert_refused({"convert": done}, "torch.uint32", "pass int64")


def test_a_number_of_workers_that_no_machine_has_is_a_usage_error() -> None:
    assert call("build", "recipe.toml", "--workers", 1_000_000).exit_code == 2


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    """What a write would change: times, modes and bytes of everything."""
    found = {}
    for path in sorted(folder.rglob("*")):
        about = path.stat()
        data = path.read_bytes() if path.is_file() else b""
        found[str(path.relative_to(folder))] = (about.st_mtime_ns, about.st_mode, data)
    return found


@pytest.fixture
def kept(package: Path, tmp_path: Path) -> Iterator[Path]:
    """A folder with both artifacts that cannot be written where permissions count."""
    folder = tmp_path / "kept"
    shutil.copytree(package, folder / "m.mlpackage")
    make_onnx(folder / "m.onnx", external="w.bin")
    for path in (*folder.rglob("*"), folder):
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield folder
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("name", ["m.mlpackage", "m.onnx"])
def test_reading_writes_nothing(kept: Path, tmp_path: Path, name: str) -> None:
    before = state(kept)
    for command, done in read_with_all(kept / name, tmp_path).items():
        assert done.exit_code == 0, (command, done.output)
    assert state(kept) == before


def test_a_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    path = make_onnx(tmp_path / "m.onnx")
    path.write_bytes(path.read_bytes().replace(b"product", b"prod\xffct"))
    assert_refused(read_with_all(path, tmp_path), "a name in it is no UTF-8 text")


def test_a_terminal_obeys_no_name_of_a_file(tmp_path: Path) -> None:
    path = make_onnx(tmp_path / "m.onnx")
    model = onnx.load(path)
    old, new = model.graph.output[0].name, "y\x1b[2J"
    for node in model.graph.node:
        node.output[:] = [new if each == old else each for each in node.output]
    model.graph.output[0].name = new
    onnx.save(model, path)
    done = read_with_all(path, tmp_path)
    assert "y\\x1b[2J" in done["inspect"].stdout
    assert "y\\x1b[2J: float32 [2, 4]" in done["run"].stdout
