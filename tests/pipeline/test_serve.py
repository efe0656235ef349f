"""An artifact over a pipe: every reply is one frame, and every fault is one line in an error frame."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import pytest
from tests.swift.packages import TABLE, write_functions, write_scores, write_sums

from pocketrec.errors import ArtifactError, InputError, PocketrecError, UsageError
from pocketrec.pipeline.serve import serve
from pocketrec.validate.runtimes import frames
from pocketrec.validate.runtimes.frames import BrokenFrame, Frame, read_frame, write_frame
from pocketrec.validate.runtimes.runtime import Array

IDS = {"ids": np.array([0, 5, 12], np.int32)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("packages")
    for write in (write_scores, write_sums, write_functions):
        write(made)
    return made


def raw(header: object, payload: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(4, "little") + text + payload


def request(tensors: Mapping[str, Array], states: Mapping[str, Array] | None = None) -> bytes:
    written = io.BytesIO()
    write_frame(written, {}, tensors, states)
    return written.getvalue()


def served(path: Path, *requests: bytes, function: str | None = None) -> tuple[list[Frame], Exception | None]:
    """All replies, the first of them the description, and what ended the serving."""
    writer = io.BytesIO()
    raised: Exception | None = None
    try:
        serve(path, function, io.BytesIO(b"".join(requests)), writer)
    except PocketrecError as error:
        raised = error
    writer.seek(0)
    return list(iter(lambda: read_frame(writer), None)), raised


def message(frame: Frame) -> str:
    assert frame.header["ok"] is False
    assert "\n" not in frame.header["error"]["message"]
    return f"{frame.header['error']['kind']}: {frame.header['error']['message']}"


def test_the_first_frame_describes_the_function(folder: Path) -> None:
    (frame,), raised = served(folder / "scores.mlpackage")
    said = dict(frame.header)
    assert raised is None
    assert said.pop("metadata")["key"] == "value"
    assert said.pop("runtime").startswith("coreml-interpreter ")
    fixed: dict[str, Any] = {"enumerated": [], "optional": False}
    assert said == {
        "ok": True,
        "schema": 1,
        "functions": ["main"],
        "inputs": [{"name": "ids", "dtype": "int32", "bounds": [[3, 3]], **fixed}],
        "outputs": [
            {"name": "scores", "dtype": "float32", "bounds": [[3, 3], [13, 13]], **fixed},
            {"name": "halves", "dtype": "float16", "bounds": [[3, 3], [13, 13]], **fixed},
        ],
        "kept": [],
        "about": {"description": "Rows times a table.", "author": "pocketrec", "version": "1.2"},
    }


def test_outputs_come_in_their_declared_dtype(folder: Path) -> None:
    """float16 as float16, in the bits that the interpreter gives."""
    frames_, raised = served(folder / "scores.mlpackage", request(IDS), request(IDS))
    assert raised is None
    for frame in frames_[1:]:
        given = frame.arrays("tensors")
        expected = TABLE[IDS["ids"]] @ TABLE.T
        np.testing.assert_allclose(given["scores"].astype(np.float32), expected, rtol=1e-6)
        assert given["halves"].dtype == np.float16
        np.testing.assert_array_equal(given["halves"], given["scores"].astype(np.float16))


def test_a_state_goes_along_and_comes_back(folder: Path) -> None:
    """The caller keeps it, so that two callers never share one."""
    x, start = {"x": np.array([1, 2], np.float16)}, {"sum": np.array([10, 20], np.float16)}
    path = folder / "sums.mlpackage"
    (first, reply), _ = served(path, request(x, start))
    assert [each["name"] for each in first.header["kept"]] == ["sum"]
    kept = reply.arrays("states")
    assert kept["sum"].dtype == np.float16
    np.testing.assert_array_equal(kept["sum"], [11, 22])
    (_, second), _ = served(path, request(x, kept))
    np.testing.assert_array_equal(second.arrays("tensors")["y"], [12, 24])


@pytest.mark.parametrize(("function", "expected"), [(None, [1, 2]), ("twice", [2, 4])])
def test_a_function_is_chosen_by_name(folder: Path, function: str | None, expected: list[int]) -> None:
    x = request({"x": np.array([1, 2], np.float32)})
    (_, reply), _ = served(folder / "functions.mlpackage", x, function=function)
    np.testing.assert_array_equal(reply.arrays("tensors")["y"], expected)


def test_another_format_is_answered_too(tmp_path: Path) -> None:
    import onnx
    from onnx import TensorProto, helper

    value = [helper.make_tensor_value_info(name, TensorProto.INT64, ["n"]) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Add", ["x", "x"], ["y"])], "g", value[:1], value[1:])
    path = tmp_path / "main.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(path))
    (first, reply), _ = served(path, request({"x": np.array([2**40])}))
    assert first.header["inputs"][0]["bounds"] == [[1, None]]
    np.testing.assert_array_equal(reply.arrays("tensors")["y"], [2**41])


ENTRY = {"name": "ids", "dtype": "int32", "shape": [3], "bytes": 12}
ANSWERED = {
    "unknown input": (request({"id": IDS["ids"]}), "InputError: scores.mlpackage: input 'id' is not known"),
    "missing input": (request({}), "InputError: scores.mlpackage: input 'ids' is missing"),
    "wrong dtype": (request({"ids": np.zeros(3, np.int64)}), "input 'ids' is int64; expected int32"),
    "wrong shape": (request({"ids": np.zeros(4, np.int32)}), "input 'ids' has shape (4,); expected [3]"),
    "beyond the table": (request({"ids": np.array([0, 1, 13], np.int32)}), "ExecutionError: "),
    "unknown state": (request(IDS, {"s": IDS["ids"]}), "states: input 's' is not known"),
    "unknown key": (raw({"k": 1}), "frame: key 'k' is not known; expected tensors or states"),
    "unknown dtype": (
        raw({"tensors": [ENTRY | {"dtype": "complex64"}]}, bytes(12)),
        "tensor 'ids' has the dtype 'complex64'; expected one of bool, ",
    ),
    "too few bytes": (
        raw({"tensors": [ENTRY | {"bytes": 8}]}, bytes(8)),
        "tensor 'ids' has 8 bytes; int32 [3] has 12",
    ),
    "negative size": (
        raw({"tensors": [ENTRY | {"shape": [-3]}]}, bytes(12)),
        "tensor 'ids' has the shape [-3]; expected a list of sizes",
    ),
    "too many axes": (raw({"tensors": [ENTRY | {"shape": [3] + [1] * 64}]}, bytes(12)), "of 32 axes at most"),
    "no bytes of many": (raw({"tensors": [ENTRY | {"shape": [0, 10**30], "bytes": 0}]}), "a list of sizes"),
    "sizes of many digits": (raw({"tensors": [ENTRY | {"shape": [10**300] * 30}]}, bytes(12)), "of sizes"),
    "a shape of many letters": (raw({"tensors": [ENTRY | {"shape": "x" * 999}]}, bytes(12)), "xxx; expected"),
    "twice": (raw({"tensors": [ENTRY, ENTRY]}, bytes(24)), "tensors has the name 'ids'; expected one string"),
    "no name": (raw({"tensors": [ENTRY | {"name": None}]}, bytes(12)), "tensors has the name None"),
}


@pytest.mark.parametrize("case", ANSWERED)
def test_a_request_that_cannot_be_answered_leaves_the_next_one_its_answer(case: str, folder: Path) -> None:
    wrong, expected = ANSWERED[case]
    (_, refused, answered), raised = served(folder / "scores.mlpackage", wrong, request(IDS))
    assert raised is None
    assert expected in message(refused)
    assert answered.header["ok"] is True


def test_a_state_that_is_missing_is_named(folder: Path) -> None:
    (_, refused), raised = served(folder / "sums.mlpackage", request({"x": np.zeros(2, np.float16)}))
    assert raised is None
    assert "states: input 'sum' is missing; pass float16 [2]" in message(refused)


MORE = (frames.LARGEST_HEADER + 1).to_bytes(4, "little")
BROKEN = {
    "half a length": (b"\x01\x00", "the stream ended after 2 of 4 bytes of the length"),
    "half a header": (raw({"tensors": []})[:8], "the stream ended after 4 of 15 bytes of the header"),
    "half a tensor": (request(IDS)[:-4], "the stream ended after 8 of 12 bytes of the tensors"),
    "too long a header": (MORE, f"a header of {frames.LARGEST_HEADER + 1} bytes"),
    "no JSON": (raw(b"{"), "frame: not valid JSON"),
    "no UTF-8": (raw(b'"\xff"'), "frame: not valid JSON"),
    "no object": (raw([]), "the header is of type list; expected an object"),
    "no list": (raw({"states": {}}), "states is of type dict; expected a list"),
    "no bytes": (raw({"tensors": [{"name": "ids"}]}), "an entry of tensors has no whole number of bytes"),
    "no entry": (raw({"tensors": [7]}), "an entry of tensors has no whole number of bytes"),
    "negative bytes": (raw({"tensors": [{"bytes": -1}]}), "has no whole number of bytes"),
    "too many bytes": (
        raw({"tensors": [{"bytes": 1 << 29}] * 3}),
        f"tensors of {3 << 29} bytes; expected {1 << 30} at most",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_frame_that_cannot_be_read_ends_the_serving_with_its_reason(case: str, folder: Path) -> None:
    """What comes after it is never taken for a frame."""
    broken, expected = BROKEN[case]
    (_, refused), raised = served(folder / "scores.mlpackage", broken)
    assert isinstance(raised, BrokenFrame)
    assert raised.exit_code == 2
    assert expected in message(refused)


def test_an_artifact_that_cannot_be_opened_is_the_first_frame(folder: Path, tmp_path: Path) -> None:
    (refused,), raised = served(tmp_path / "none.mlpackage")
    assert isinstance(raised, UsageError)
    assert "UsageError: " in message(refused)
    assert "none.mlpackage: no such artifact" in message(refused)
    (refused,), raised = served(tmp_path / "none.txt")
    assert "suffix '.txt' is unknown" in message(refused)
    (tmp_path / "empty.mlpackage").mkdir()
    (refused,), raised = served(tmp_path / "empty.mlpackage")
    assert isinstance(raised, ArtifactError)
    (refused,), raised = served(folder / "functions.mlpackage", function="thrice")
    assert "no function 'thrice'; expected one of once, twice" in message(refused)


def test_a_defect_is_told_before_it_ends_the_serving(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyError("x")

    monkeypatch.setattr("pocketrec.pipeline.serve.run", fail)
    writer = io.BytesIO()
    with pytest.raises(KeyError):
        serve(folder / "scores.mlpackage", None, io.BytesIO(request(IDS)), writer)
    writer.seek(0)
    read_frame(writer)
    refused = read_frame(writer)
    assert refused is not None
    assert message(refused) == "KeyError: 'x'"


class Closed(io.BytesIO):
    def flush(self) -> None:
        raise BrokenPipeError


def test_a_caller_that_went_away_is_no_error(folder: Path) -> None:
    serve(folder / "scores.mlpackage", None, io.BytesIO(request(IDS)), Closed())


def child(*arguments: object) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "pocketrec", "serve-pipe", *map(str, arguments)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def test_the_command_writes_nothing_but_frames(folder: Path) -> None:
    """It answers while stdin is open, says a fault on stderr too, and ends with its exit code."""
    with child(folder / "scores.mlpackage") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert read_frame(cast(BinaryIO, process.stdout)) is not None
        process.stdin.write(request(IDS))
        process.stdin.flush()
        reply = read_frame(cast(BinaryIO, process.stdout))
        assert reply is not None
        assert reply.arrays("tensors")["scores"].shape == (3, 13)
        rest, errors = process.communicate(b"\x00")
    assert "after 1 of 4 bytes" in message(cast(Frame, read_frame(io.BytesIO(rest))))
    assert errors.decode() == "error: frame: the stream ended after 1 of 4 bytes of the length\n"
    assert process.returncode == 2


def test_the_command_ends_well_where_nobody_reads_its_replies(folder: Path) -> None:
    with child(folder / "scores.mlpackage") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert read_frame(cast(BinaryIO, process.stdout)) is not None
        process.stdout.close()
        process.stdin.write(request(IDS))
        process.stdin.flush()
        assert process.wait(timeout=120) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""


def test_the_command_keeps_the_code_of_its_error_where_nobody_reads_the_frame(tmp_path: Path) -> None:
    with child(tmp_path / "none.mlpackage") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read().decode()
    assert said.startswith("error: ")
    assert "none.mlpackage: no such artifact" in said
    assert process.returncode == 2


def test_the_command_ends_well_where_stdin_does_and_keeps_prints_off_stdout(
    capfd: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a library prints while it serves goes to stderr, by Python or by C."""
    from click.testing import CliRunner

    from pocketrec.cli.main import main

    def noisy(path: Path, function: str | None, reader: BinaryIO, writer: BinaryIO) -> None:
        os.write(1, b"noise")
        writer.write(b"frame" + reader.read())

    monkeypatch.setattr("pocketrec.pipeline.serve.serve", noisy)
    before = os.dup(0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    try:
        assert CliRunner().invoke(main, ["serve-pipe", str(folder)]).exit_code == 0
    finally:
        os.dup2(before, 0)
        os.close(before)
        os.close(nothing)
    said = capfd.readouterr()
    assert (said.out, said.err) == ("frame", "noise")


def test_written_frames_are_read_back() -> None:
    """Every dtype, empty tensors, scalars, and rows that do not lie one after another."""
    rng = np.random.default_rng(0)
    given: dict[str, Array] = {
        dtype: (rng.random((2, 3)) * 2).astype(dtype).T for dtype in sorted(frames.DTYPES)
    }
    given |= {"empty": np.zeros((0, 4), np.float32), "scalar": np.array(7, np.int32)}
    frame = read_frame(io.BytesIO(request(given)))
    assert frame is not None
    read = frame.arrays("tensors")
    assert {name: (each.dtype, each.shape) for name, each in read.items()} == {
        name: (each.dtype, each.shape) for name, each in given.items()
    }
    for name, each in given.items():
        np.testing.assert_array_equal(read[name], each)
    assert frame.arrays("states") == {}
    assert issubclass(BrokenFrame, InputError)
