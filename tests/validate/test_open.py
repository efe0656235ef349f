"""Engines open what they can, and say in one line why they cannot."""

from __future__ import annotations

import ast
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

import pocketrec.validate.open
from pocketrec.errors import UsageError
from pocketrec.validate.artifact.graph import Graph, Op, Tensor
from pocketrec.validate.artifact.sizes import artifact_bytes, describe_artifact, tensor_sizes
from pocketrec.validate.lint import lint_artifact
from pocketrec.validate.open import FORMATS, Format, Options, attribute_at, open_artifact, open_graph
from pocketrec.validate.runtimes.runtime import Runtime, TensorSpec


def test_an_onnx_file_runs_and_describes_itself(onnx_file: Path) -> None:
    with open_artifact(onnx_file) as runtime:
        assert isinstance(runtime, Runtime)
        description = runtime.describe()
        assert (description.runtime, description.compute_units) == ("onnxruntime", "cpu")
        assert description.metadata == {"key": "value"}
        assert [(each.name, each.dtype, each.shape) for each in description.inputs] == [
            ("ids", "int32", (None,))
        ]
        found = runtime.run({"ids": np.array([3], np.int32)})
        np.testing.assert_array_equal(found["rows"], [[12, 14]])
    runtime.close()
    with pytest.raises(UsageError, match="closed"):
        runtime.run({"ids": np.array([3], np.int32)})


@pytest.mark.parametrize(
    ("name", "runtime", "words"),
    [
        ("model.pt", None, r"'\.pt' is unknown; expected \.onnx, \.mlpackage"),
        ("absent.onnx", None, "no such artifact"),
        ("absent.onnx", "coreml-interpreter", "expected onnxruntime"),
        ("absent.mlpackage", "onnxruntime", "cannot load .mlpackage; expected coreml-framework or coreml-"),
        (
            "absent.onnx",
            "onnx",
            r"unknown runtime 'onnx'; expected one of onnxruntime, .*; did you mean 'onnxr",
        ),
        ("absent.onnx", "coreml", r"mean 'coreml-framework' or 'coreml-interpreter'\?$"),
        ("absent.onnx", "tvm", r"unknown runtime 'tvm'; expected one of .*coreml-interpreter$"),
    ],
)
def test_what_cannot_be_opened_is_a_usage_error_with_the_choices(
    tmp_path: Path, name: str, runtime: str | None, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        open_artifact(tmp_path / name, runtime)


def test_a_function_that_the_artifact_does_not_hold_is_named_with_the_one_that_it_does(
    onnx_file: Path,
) -> None:
    import onnx

    model = onnx.load(onnx_file)
    onnx.helper.set_model_props(model, {"pocketrec.function": "rank"})
    onnx.save(model, onnx_file)
    open_artifact(onnx_file, function="rank").close()
    with pytest.raises(UsageError, match="no function 'main'; expected rank"):
        open_artifact(onnx_file, function="main")


class Toy:
    """What a toy format's file is opened as; `run` gives the number in it."""

    def __init__(self, path: Path, options: Options) -> None:
        self.path, self.options = path, options


def read_toy(path: Path) -> Graph:
    """A file with a number, as a graph that gives it."""
    text = path.read_text()
    table = Tensor(
        name="t", dtype="int8", shape=(len(text),), load=lambda: np.frombuffer(text.encode(), np.int8),
        stored_bytes=len(text),
    )  # fmt: skip
    op = Op(
        type="Give", kind="gather", name="give", inputs={"x": ("t",), "indices": ("ids",)}, outputs=("y",)
    )
    return Graph(
        name=path.name, format="toy", ops=(op,), tensors={"t": table},
        inputs=(TensorSpec(name="ids", dtype="int32", shape=(1,)),),
        outputs=(TensorSpec(name="y", dtype="int8", shape=(1,)),), results=("y",), files=(path,),
    )  # fmt: skip


TOYS = {".toy": Format(reader=f"{__name__}:read_toy", runtimes={"toys": f"{__name__}:Toy"})}


def test_a_format_that_is_handed_in_is_opened_described_and_linted(tmp_path: Path) -> None:
    """Who knows more formats needs nothing of `validate` but a row."""
    path = tmp_path / "m.toy"
    path.write_text("12345")
    options = Options(function="f", threads=3, compute_units="cpu_only", timeout=2.5)
    loaded = open_artifact(path, **asdict(options), formats=TOYS)
    assert isinstance(loaded, Toy)
    assert (loaded.path, loaded.options) == (path, options)
    described = describe_artifact(path, formats=TOYS)
    assert (described.format, described.op_counts, described.size_bytes) == ("toy", {"Give": 1}, 5)
    assert [each.name for each in tensor_sizes(path, formats=TOYS)] == ["t"]
    assert artifact_bytes(path, formats=TOYS) == 5
    assert [each.rule for each in lint_artifact(path, formats=TOYS)] == ["unguarded-ids"]


def test_a_format_that_is_not_handed_in_is_not_opened(onnx_file: Path) -> None:
    with pytest.raises(UsageError, match=r"'\.onnx' is unknown; expected \.toy"):
        open_graph(onnx_file, formats=TOYS)
    with pytest.raises(UsageError, match=r"ends in one of \.toy"):
        lint_artifact(onnx_file, formats=TOYS)


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_place_in_the_table_is_there(suffix: str) -> None:
    for place in (FORMATS[suffix].reader, *FORMATS[suffix].runtimes.values()):
        assert callable(attribute_at(place))


FORMAT_NAMES = {"onnx", "coreml", ".onnx", ".mlpackage", ".mlmodel"}


def compared(tree: ast.AST) -> list[str]:
    """The names of formats that a module compares something with, or branches on."""
    compares = [each for each in ast.walk(tree) if isinstance(each, ast.Compare | ast.match_case)]
    words = [each for found in compares for each in ast.walk(found) if isinstance(each, ast.Constant)]
    return sorted({str(each.value) for each in words} & FORMAT_NAMES)


def test_no_module_of_validate_compares_a_formats_name() -> None:
    """What a rule or a figure has to know of a format comes with its graph or its row."""
    root = Path(pocketrec.validate.open.__file__).parent
    modules = sorted(root.rglob("*.py"))
    assert len(modules) > 40
    found = {each.name: compared(ast.parse(each.read_text(encoding="utf-8"))) for each in modules}
    assert {name: words for name, words in found.items() if words} == {}
    assert compared(ast.parse("if path.suffix in ('.onnx', '.pt') or form == 'coreml': pass")) == [
        ".onnx",
        "coreml",
    ]
