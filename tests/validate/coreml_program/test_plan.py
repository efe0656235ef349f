"""What no input changes is computed once, and what only moves is not rounded again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.constants import Folded
from pocketrec.validate.coreml_program.execute import Execution
from pocketrec.validate.coreml_program.plan import plan_function
from pocketrec.validate.coreml_program.program import (
    Binding,
    Block,
    Constant,
    Function,
    Operation,
    ValueName,
)
from pocketrec.validate.coreml_program.values import ValueType

TABLE = np.arange(12, dtype=np.float16).reshape(4, 3) + np.float16(0.5)
IDS = np.array([2, 0], dtype=np.int32)


def constant(value: Any) -> Constant:
    array = np.asarray(value)
    kind = "string" if isinstance(value, str) else str(array.dtype)
    return Constant(ValueType(dtype=kind, shape=array.shape), lambda: value)


def op(op_type: str, name: str, dtype: str, /, **inputs: Binding) -> Operation:
    return Operation(
        type=op_type,
        name=name,
        inputs={key: (each,) for key, each in inputs.items()},
        outputs=((name, ValueType(dtype=dtype)),),
        blocks=(),
    )


def function(*operations: Operation, inputs: Mapping[str, str]) -> Function:
    given = tuple((name, ValueType(dtype=dtype)) for name, dtype in inputs.items())
    block = Block(inputs=tuple(inputs), outputs=(operations[-1].outputs[0][0],), operations=tuple(operations))
    return Function(name="main", opset="CoreML7", inputs=given, block=block)


def test_a_cast_of_a_float16_table_is_never_widened_as_a_whole() -> None:
    """Only the gathered rows become float32; the table stays the stored array."""
    constants: dict[str, Folded] = {}
    plan = plan_function(
        function(
            op("cast", "wide", "float32", x=constant(TABLE), dtype=constant("fp32")),
            op("cast", "half", "float16", x=ValueName("wide"), dtype=constant("fp16")),
            op("gather", "rows", "float16", x=ValueName("half"), indices=ValueName("ids")),
            inputs={"ids": "int32"},
        ),
        constants,
    )
    assert [each.operation.type for each in plan.steps] == ["gather"]
    (rows,) = Execution(values={"ids": IDS}, constants=constants, accumulation="float32").block(plan)
    assert constants["half"].raw() is TABLE
    np.testing.assert_array_equal(rows, TABLE[IDS].astype(np.float32))


def test_what_no_input_changes_is_computed_once() -> None:
    """Every run takes the same array, which none of them can change."""
    constants: dict[str, Folded] = {}
    plan = plan_function(
        function(
            op("add", "sum", "float32", x=constant(np.ones(3, np.float32)), y=constant(np.float32(1))),
            op("add", "more", "float32", x=ValueName("sum"), y=ValueName("x")),
            inputs={"x": "float32"},
        ),
        constants,
    )
    for _ in range(2):
        (more,) = Execution(
            values={"x": np.ones(3, np.float32)}, constants=constants, accumulation="float32"
        ).block(plan)
        assert more.tolist() == [3, 3, 3]
    assert [each.operation.name for each in plan.steps] == ["more"]
    with pytest.raises(ValueError, match="read-only"):
        constants["sum"].wide()[:] = 0


def test_a_fault_in_what_is_folded_names_its_own_op() -> None:
    """Not the op that takes the value first."""
    constants: dict[str, Folded] = {}
    shape = constant(np.array([7], dtype=np.int32))
    plan = plan_function(
        function(
            op("reshape", "bad", "float32", x=constant(np.ones(3, np.float32)), shape=shape),
            op("add", "more", "float32", x=ValueName("bad"), y=ValueName("x")),
            inputs={"x": "float32"},
        ),
        constants,
    )
    with pytest.raises(ExecutionError, match=r"op reshape \(bad\): \[3\] does not fit"):
        Execution(values={"x": np.ones(3, np.float32)}, constants=constants, accumulation="float32").block(
            plan
        )


@pytest.mark.parametrize(("source", "rounded"), [("float16", False), ("float32", True)])
def test_only_float16_that_moves_needs_no_rounding(source: str, rounded: bool) -> None:
    """A reshape of float32 numbers to a declared float16 rounds them, though no real program has one."""
    plan = plan_function(
        function(
            op("reshape", "y", "float16", x=ValueName("x"), shape=constant(np.array([2], dtype=np.int32))),
            inputs={"x": source},
        ),
        {},
    )
    values = np.array([[1 + 2**-12], [1]], dtype=np.float32)
    (result,) = Execution(values={"x": values}, constants={}, accumulation="float32").block(plan)
    assert bool(result[0] == 1) is rounded
