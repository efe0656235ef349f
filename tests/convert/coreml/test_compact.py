"""A program says the same in fewer bytes: equal small constants are one, and values have short names."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - coremltools' own name for it
from coremltools.proto import Model_pb2

from pocketrec.convert.coreml.compact import compact
from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter

TABLE = np.random.default_rng(0).standard_normal((40, 64)).astype(np.float32)
IDS = [np.array([1, 2, 3], np.int32), np.array([39, 0, 7], np.int32)]


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """Rows of a stored table, twice shifted, and one of two things done with them by their sum."""

    def branching(ids: Any) -> Any:
        rows = mb.gather(x=TABLE, indices=ids, axis=0, name="the_rows_of_the_table")
        first = mb.add(x=rows, y=np.float32(0.25), name="a_value_with_a_long_name")
        second = mb.mul(x=first, y=np.float32(0.25), name="another_value_with_a_long_name")
        total = mb.reduce_sum(x=second, axes=[0, 1], keep_dims=False, name="the_sum_of_it_all")
        return mb.cond(
            pred=mb.greater(x=total, y=np.float32(0.0), name="whether_it_is_above"),
            _true_fn=lambda: mb.reduce_sum(x=second, axes=[1], keep_dims=False, name="one_of_the_two"),
            _false_fn=lambda: mb.reduce_max(x=second, axes=[1], keep_dims=False, name="the_other"),
            name="scores",
        )

    given = mb.TensorSpec(shape=(3,), dtype=ct.converters.mil.mil.types.int32)
    prog = mb.program(input_specs=[given])(eval("lambda ids: branching(ids)", {"branching": branching}))
    options = {"convert_to": "mlprogram", "skip_model_load": True, "compute_precision": ct.precision.FLOAT32}
    model = ct.convert(prog, minimum_deployment_target=ct.target.iOS17, **options)
    path = tmp_path / "main.mlpackage"
    model.save(str(path))
    return path


def spec_of(package: Path) -> Any:
    spec = Model_pb2.Model()
    spec.ParseFromString(next(package.glob("Data/**/*.mlmodel")).read_bytes())
    return spec


def block_of(package: Path) -> Any:
    (block,) = spec_of(package).mlProgram.functions["main"].block_specializations.values()
    return block


def answers(package: Path) -> list[list[float]]:
    with CoreMLInterpreter(package) as interpreter:
        return [next(iter(interpreter.run({"ids": each}).values())).tolist() for each in IDS]


def constants(block: Any) -> list[bytes]:
    found = [op for op in block.operations if op.type == "const"]
    return [op.attributes["val"].SerializeToString(deterministic=True) for op in found]


def test_a_compact_program_gives_the_same_in_fewer_bytes(package: Path) -> None:
    before, size = answers(package), spec_of(package).ByteSize()
    assert len(set(constants(block_of(package)))) < len(constants(block_of(package)))
    compact(package)
    after = block_of(package)
    assert answers(package) == before
    assert len(set(constants(after))) == len(constants(after))
    assert spec_of(package).ByteSize() < 0.9 * size
    assert "long_name" not in str(after)


def test_what_is_stored_and_what_is_given_keep_their_names_and_new_ones_are_told(package: Path) -> None:
    outputs, taken = list(block_of(package).outputs), spec_of(package).description.input[0].name
    stored = [op.outputs[0].name for op in block_of(package).operations if "blobFileValue" in str(op)]
    names = compact(package)
    block = block_of(package)
    assert list(block.outputs) == outputs
    assert [op.outputs[0].name for op in block.operations if "blobFileValue" in str(op)] == stored != []
    assert spec_of(package).description.input[0].name == taken == "ids"
    add = next(op for op in block.operations if op.type == "add")
    assert names["a_value_with_a_long_name"] == add.outputs[0].name
    assert outputs[0] not in names
    assert add.attributes["name"].immediateValue.tensor.strings.values[0] == add.outputs[0].name
