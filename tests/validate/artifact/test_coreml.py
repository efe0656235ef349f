"""Any part of a Core ML program runs by itself, with the numbers that the whole program gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import types
from coremltools.proto import FeatureTypes_pb2, MIL_pb2, Model_pb2
from tests.validate.conftest import IOS18, PROGRAM_TABLE, convert, edit_program

from pocketrec.errors import UnsupportedOp, UsageError
from pocketrec.validate.artifact.coreml import read_core_ml
from pocketrec.validate.coreml_program import CoreMLInterpreter
from pocketrec.validate.lint import lint_artifact

IDS = {"ids": np.array([0, 5, 11], dtype=np.int32)}


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_every_tensor_is_that_of_the_whole_program(packages: Path, precision: str) -> None:
    path = packages / f"{precision}.mlpackage"
    graph = read_core_ml(path)
    assert graph.is_narrow == (precision == "float16")
    with CoreMLInterpreter(path) as interpreter:
        traced = interpreter.trace(IDS)
    assert len(traced) > 1
    for name, value in traced.items():
        np.testing.assert_array_equal(graph.evaluate([name], IDS)[name], value)


def test_a_part_starts_at_the_tensors_that_are_given(packages: Path) -> None:
    graph = read_core_ml(packages / "float32.mlpackage")
    (score,) = [op for op in graph.calls if op.type in ("matmul", "linear")]
    rows = PROGRAM_TABLE[:3] * 2
    found: Any = graph.evaluate([*graph.results], {**IDS, score.inputs[0]: rows})
    np.testing.assert_allclose(found[graph.results[0]], rows @ PROGRAM_TABLE.T, rtol=1e-5)


def test_a_given_tensor_is_rounded_to_the_declared_dtype(packages: Path) -> None:
    graph = read_core_ml(packages / "float16.mlpackage")
    name = next(op.outputs[0] for op in graph.calls if graph.dtype(op.outputs[0]) == "float16")
    given = graph.evaluate([name], {**IDS, name: np.full((3, 4), 1.0001, np.float32)})
    np.testing.assert_array_equal(given[name], 1)


def test_a_state_is_read_after_the_updates_before_it(tmp_path: Path) -> None:
    """The order of states is no edge of the data: the part has to hold the update all the same."""

    def body(x: Any, s: Any) -> Any:
        total = mb.add(x=mb.read_state(input=s), y=x, name="sum")
        return mb.mul(x=mb.coreml_update_state(state=s, value=total), y=np.float16(2), name="twice")

    specs = [mb.TensorSpec((2,), dtype=types.fp16), mb.StateTensorSpec((2,), dtype=types.fp16)]
    program = mb.program(input_specs=specs, opset_version=IOS18)(body)
    convert(program, precision="FLOAT16").save(str(tmp_path / "state.mlpackage"))
    graph = read_core_ml(tmp_path / "state.mlpackage")
    assert [op.type for op in graph.calls] == ["read_state", "add", "write_state", "read_state", "mul"]
    (output,) = graph.results
    found = graph.evaluate([output], {"x": np.array([1, 2], np.float16)})
    np.testing.assert_array_equal(found[output], [2, 4])


def test_an_unknown_function_names_the_known_ones(packages: Path) -> None:
    with pytest.raises(UsageError, match="no function 'other'; expected one of main"):
        read_core_ml(packages / "float32.mlpackage").only("other")


def neural_network(path: Path) -> Path:
    """A model of the kind from before ML programs."""
    spec = Model_pb2.Model(specificationVersion=4)
    spec.neuralNetwork.SetInParent()
    for features, name in ((spec.description.input, "x"), (spec.description.output, "y")):
        feature = features.add(name=name)
        feature.type.multiArrayType.shape.append(3)
        feature.type.multiArrayType.dataType = FeatureTypes_pb2.ArrayFeatureType.FLOAT32
    path.write_bytes(spec.SerializeToString())
    return path


def test_a_model_that_is_no_program_has_inputs_and_says_why_it_has_no_ops(tmp_path: Path) -> None:
    graph = read_core_ml(neural_network(tmp_path / "old.mlmodel"))
    assert [(each.name, each.dtype, each.shape) for each in graph.inputs] == [("x", "float32", (3,))]
    assert graph.ops == ()
    assert "a model of type neuralNetwork; expected an ML program" in graph.unreadable
    with pytest.raises(UnsupportedOp, match="a model of type neuralNetwork"):
        lint_artifact(tmp_path / "old.mlmodel")


def test_a_type_that_the_interpreter_does_not_know_keeps_its_name_and_its_bytes(
    damaged: Callable[[Callable[[Path], object]], Path],
) -> None:
    def widen(block: Any) -> None:
        value = {each.outputs[0].name: each for each in block.operations}["rows_x_0"]
        for kind in (value.outputs[0].type.tensorType, value.attributes["val"].type.tensorType):
            kind.dataType = MIL_pb2.BFLOAT16

    path = damaged(lambda copy: edit_program(copy, widen))
    graph = read_core_ml(path)
    assert graph.tensor("rows_x_0").dtype == "bfloat16"
    assert graph.tensor("rows_x_0").stored_bytes == 12 * 4 * 2
    with pytest.raises(UnsupportedOp, match="data type"):
        CoreMLInterpreter(path)
