"""A large constant is computed by parts, and these are the parts of what the whole would be."""

from __future__ import annotations

import tracemalloc
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from pocketrec.validate.coreml_program import constants
from pocketrec.validate.coreml_program.constants import Folded
from pocketrec.validate.coreml_program.execute import Execution
from pocketrec.validate.coreml_program.plan import plan_function
from pocketrec.validate.coreml_program.program import Binding, Block, Constant, Function, Operation, ValueName
from pocketrec.validate.coreml_program.values import ValueType

ROWS, WIDTH = 24, 4
RNG = np.random.default_rng(0)
CODES = RNG.integers(-128, 128, (ROWS, WIDTH)).astype(np.int8)
HALF = RNG.normal(size=(ROWS, WIDTH)).astype(np.float16)
INDICES = RNG.integers(0, 16, (ROWS, WIDTH)).astype(np.uint8)


def constant(value: Any) -> Constant:
    array = np.asarray(value)
    kind = "string" if isinstance(value, str) else str(array.dtype)
    return Constant(ValueType(dtype=kind, shape=array.shape), lambda: value)


def op(op_type: str, name: str, kind: ValueType, /, **inputs: Any) -> Operation:
    bound: dict[str, tuple[Binding, ...]] = {
        key: (each if isinstance(each, ValueName) else constant(each),) for key, each in inputs.items()
    }
    return Operation(type=op_type, name=name, inputs=bound, outputs=((name, kind),), blocks=())


def floats(*shape: int, dtype: str = "float32") -> ValueType:
    return ValueType(dtype=dtype, shape=shape)


def run(operations: list[Operation], inputs: Mapping[str, Any]) -> tuple[Any, dict[str, Folded]]:
    given = tuple((name, floats(*np.shape(each), dtype=str(each.dtype))) for name, each in inputs.items())
    block = Block(inputs=tuple(inputs), outputs=(operations[-1].outputs[0][0],), operations=tuple(operations))
    made: dict[str, Folded] = {}
    plan = plan_function(Function(name="main", opset="CoreML8", inputs=given, block=block), made)
    (result,) = Execution(values=dict(inputs), constants=made, accumulation="float32").block(plan)
    return result, made


SCALES = RNG.random((ROWS, 1)).astype(np.float16)
LUT = RNG.normal(size=(1, 2, 16, 1)).astype(np.float16)
TABLES: dict[str, tuple[str, dict[str, Any]]] = {
    "affine by rows": (
        "constexpr_affine_dequantize",
        {"quantized_data": CODES, "zero_point": np.int8(3), "scale": SCALES.ravel(), "axis": np.int32(0)},
    ),
    "affine by columns": (
        "constexpr_affine_dequantize",
        {
            "quantized_data": CODES,
            "zero_point": np.arange(4, dtype=np.int8),
            "scale": np.float16(0.3),
            "axis": np.int32(1),
        },
    ),
    "blocks": (
        "constexpr_blockwise_shift_scale",
        {"data": CODES, "scale": np.repeat(SCALES, 2, axis=1), "offset": CODES[:, :2]},
    ),
    "groups of rows": ("constexpr_blockwise_shift_scale", {"data": CODES, "scale": SCALES[:6]}),
    "palette": ("constexpr_lut_to_dense", {"indices": INDICES, "lut": LUT}),
    "palettes of rows": (
        "constexpr_lut_to_dense",
        {"indices": INDICES, "lut": RNG.normal(size=(8, 1, 16, 1)).astype(np.float16)},
    ),
    "vectors": (
        "constexpr_lut_to_dense",
        {
            "indices": INDICES[:, :2],
            "lut": RNG.normal(size=(1, 2, 16, 2)).astype(np.float16),
            "vector_axis": np.int32(1),
        },
    ),
    "cast": ("cast", {"x": HALF, "dtype": "fp32"}),
    "run-time codes": ("dequantize", {"input": CODES, "scale": SCALES.ravel(), "axis": np.int32(0)}),
    "product with a row": ("mul", {"x": HALF, "y": RNG.normal(size=WIDTH).astype(np.float16)}),
}
WHOLE: dict[str, tuple[str, dict[str, Any]]] = {
    "vectors of rows": (
        "constexpr_lut_to_dense",
        {
            "indices": INDICES[: ROWS // 2],
            "lut": RNG.normal(size=(1, 1, 16, 2)).astype(np.float16),
            "vector_axis": np.int32(0),
        },
    ),
    "packed": (
        "constexpr_lut_to_dense",
        {
            "indices": RNG.integers(0, 256, ROWS * WIDTH // 2).astype(np.uint8),
            "lut": np.arange(16, dtype=np.float16),
            "shape": np.array([ROWS, WIDTH], np.uint32),
        },
    ),
}


@pytest.fixture
def by_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every table is too large to be kept, and a block holds five rows."""
    monkeypatch.setattr(constants, "WHOLE_BYTES", 0)
    monkeypatch.setattr(constants, "BLOCK_BYTES", 5 * 4 * WIDTH)


def uses(made: dict[str, Any], op_type: str, dtype: str) -> dict[str, tuple[list[Operation], Any]]:
    """By name: programs that read a table, and an input for each."""
    table = op(op_type, "table", floats(ROWS, WIDTH, dtype=dtype), **made)
    turned = op(
        "transpose", "turned", floats(WIDTH, ROWS, dtype=dtype), x=ValueName("table"), perm=np.array([1, 0])
    )
    users = RNG.normal(size=(3, WIDTH)).astype(np.float32)
    scores, x = floats(3, ROWS), ValueName("x")
    product = op("matmul", "y", scores, x=x, y=ValueName("table"), transpose_y=np.bool_(True))
    left = op("matmul", "y", floats(ROWS, 3), x=ValueName("table"), y=x, transpose_y=np.bool_(True))
    lookup = op("gather", "y", floats(2, 2, WIDTH, dtype=dtype), x=ValueName("table"), indices=x)
    columns = op(
        "gather", "y", floats(ROWS, 2, dtype=dtype), x=ValueName("table"), indices=x, axis=np.int32(1)
    )
    return {
        "gather": ([table, lookup], np.array([[0, 23], [7, 7]], np.int32)),
        "columns": ([table, columns], np.array([3, 0], np.int32)),
        "linear": ([table, op("linear", "y", scores, x=x, weight=ValueName("table"))], users),
        "matmul": ([table, product], users),
        "from the left": ([table, left], users),
        "transposed": ([table, turned, op("matmul", "y", scores, x=x, y=ValueName("turned"))], users),
        "added": ([table, op("add", "y", scores, x=ValueName("table"), y=x)], users[:1]),
    }


@pytest.mark.parametrize("name", [*TABLES, *WHOLE])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_whatever_reads_a_large_table_gets_the_numbers_of_the_whole_one(
    name: str, dtype: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    op_type, inputs = (TABLES | WHOLE)[name]
    for reader, (operations, x) in uses(inputs, op_type, dtype).items():
        expected, _ = run(operations, {"x": x})
        with monkeypatch.context() as small:
            small.setattr(constants, "WHOLE_BYTES", 0)
            small.setattr(constants, "BLOCK_BYTES", 5 * 4 * WIDTH)
            found, made = run(operations, {"x": x})
            assert (made["table"].table() is None) is (name in WHOLE)
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5, err_msg=reader)
        if reader in ("gather", "columns", "added"):
            np.testing.assert_array_equal(found, expected, err_msg=reader)


@pytest.mark.parametrize("reader", ["gather", "linear", "matmul", "from the left", "transposed"])
@pytest.mark.parametrize("name", TABLES)
@pytest.mark.usefixtures("by_parts")
def test_the_whole_of_a_large_table_is_never_made(
    name: str, reader: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(self: Any) -> Any:
        raise AssertionError("the whole table was asked for")

    op_type, inputs = TABLES[name]
    operations, x = uses(inputs, op_type, "float16")[reader]
    monkeypatch.setattr(constants.LongConstant, "whole", refused)
    _, made = run(operations, {"x": x})
    assert all(made[each]._raw is None for each in ("table", "turned") if each in made)


@pytest.mark.usefixtures("by_parts")
def test_a_table_of_columns_is_read_by_columns() -> None:
    """What a product reads as [width, rows] is stored so, with a scale for every column."""
    operations = [
        op(
            "constexpr_blockwise_shift_scale",
            "table",
            floats(WIDTH, ROWS),
            data=np.ascontiguousarray(CODES.T),
            scale=np.ascontiguousarray(SCALES.T),
        ),
        op("matmul", "y", floats(3, ROWS), x=ValueName("x"), y=ValueName("table")),
    ]
    users = np.eye(4, dtype=np.float32)[:3]
    found, made = run(operations, {"x": users})
    np.testing.assert_array_equal(found, (CODES.astype(np.float32) * SCALES.astype(np.float32)).T[:3])
    table = made["table"].table()
    assert table is not None
    assert table.axis == 1
    assert [block.shape for _, block in table.blocks()] == [(4, 5)] * 4 + [(4, 4)]


@pytest.mark.usefixtures("by_parts")
def test_a_vector_along_the_long_axis_is_cut_with_it() -> None:
    """It is aligned at the last axis, as broadcasting does."""
    vector = np.arange(ROWS, dtype=np.float32)
    operations = [
        op("mul", "table", floats(WIDTH, ROWS), x=np.ascontiguousarray(CODES.T).astype(np.float32), y=vector),
        op("matmul", "y", floats(3, ROWS), x=ValueName("x"), y=ValueName("table")),
    ]
    found, _ = run(operations, {"x": np.eye(4, dtype=np.float32)[:3]})
    np.testing.assert_array_equal(found, (CODES.astype(np.float32) * vector[:, None]).T[:3])


def test_a_product_with_a_large_table_takes_the_memory_of_a_block(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "WHOLE_BYTES", 1_000_000)
    monkeypatch.setattr(constants, "BLOCK_BYTES", 100_000)
    codes = RNG.integers(-128, 128, (40_000, 32)).astype(np.int8)
    scale = np.ones((40_000, 1), np.float32)
    table = op("constexpr_blockwise_shift_scale", "table", floats(*codes.shape), data=codes, scale=scale)
    product = op("linear", "y", floats(1, 40_000), x=ValueName("x"), weight=ValueName("table"))
    tracemalloc.start()
    run([table, product], {"x": np.ones((1, 32), np.float32)})
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000 < 4 * codes.size


def test_a_table_that_fits_is_widened_once_and_kept() -> None:
    op_type, inputs = TABLES["blocks"]
    operations, x = uses(inputs, op_type, "float32")["linear"]
    _, made = run(operations, {"x": x})
    assert made["table"].table() is None
    assert made["table"].wide() is made["table"].wide()
