"""Reading and writing at indices: against PyTorch, NumPy and coremltools' value inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import Function, types
from coremltools.converters.mil.mil.ops.defs._utils import compute_gather
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import scatter_gather as k


def floats(values: Any) -> Any:
    return np.array(values, dtype=np.float32)


settings.register_profile("indices", max_examples=40, deadline=None)
settings.load_profile("indices")
MODES = {"add": "sum", "mul": "prod", "max": "amax", "min": "amin"}


def counted(*shape: int) -> Any:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 1


def places(seed: int, size: int, *shape: int) -> Any:
    return np.random.default_rng(seed).integers(-size, size, shape).astype(np.int32)


@given(st.integers(0, 999), st.integers(-3, 2))
def test_gather_agrees_with_numpy(seed: int, axis: int) -> None:
    """Any axis, indices of both signs and of any shape."""
    x = counted(3, 4, 5)
    indices = places(seed, x.shape[axis], 2, 3)
    np.testing.assert_array_equal(k.gather(x, indices, axis), np.take(x, indices, axis))
    turned = np.asfortranarray(x)
    np.testing.assert_array_equal(k.gather(turned, indices, axis), np.take(x, indices, axis))


@given(st.integers(0, 999), st.sampled_from([(1, 1), (2, 1), (2, 2), (3, 2), (-1, 1)]))
def test_gather_with_batch_axes_agrees_with_coremltools(seed: int, where: tuple[int, int]) -> None:
    """Leading axes that indices and table share are walked together, also with axes between."""
    axis, batch = where
    x = counted(2, 3, 4, 5)
    indices = np.abs(places(seed, x.shape[axis], 2, 3, 2)) % x.shape[axis]
    expected = compute_gather(x, indices, axis % 4, batch)
    np.testing.assert_array_equal(k.gather(x, indices, axis, batch), expected)


def test_gather_reads_rows_of_a_mapped_float16_table(tmp_path: Path) -> None:
    """The dtype stays, so the table is never widened, and the result does not hold on to the file."""
    table = np.memmap(tmp_path / "table", dtype=np.float16, mode="w+", shape=(100, 4))
    table[7] = 0.5
    rows = k.gather(table, np.array([7, 99]))
    assert rows.dtype == np.float16
    assert not isinstance(rows, np.memmap)
    np.testing.assert_array_equal(rows, [[0.5] * 4, [0] * 4])


@pytest.mark.parametrize("index", [5, -6])
def test_an_index_outside_is_an_error_for_every_op(index: int) -> None:
    """Index, axis and bound are named, also where validate_indices is false."""
    x, flat = counted(5, 2), np.array([0, index])
    grid = np.array([[0, 0], [index, 0]])
    message = f"index {index} is outside axis 0 of size 5"
    with pytest.raises(ExecutionError, match=message):
        k.gather(x, flat, validate_indices=False)
    with pytest.raises(ExecutionError, match=message):
        k.gather_along_axis(x, grid)
    with pytest.raises(ExecutionError, match=message):
        k.gather_nd(x, grid)
    with pytest.raises(ExecutionError, match=message):
        k.scatter(x, flat, counted(2, 2))
    with pytest.raises(ExecutionError, match=message):
        k.scatter_along_axis(x, grid, counted(2, 2))
    with pytest.raises(ExecutionError, match=message):
        k.scatter_nd(x, grid, counted(2))


@pytest.mark.parametrize("validate", [True, False])
def test_negative_indices_are_outside_from_ios17_on(validate: bool) -> None:
    """A program that has `validate_indices` reads no row at -1, whichever value it gives."""
    x, grid = counted(5, 2), np.array([[0, 0], [-1, 0]])
    message = "index -1 is outside axis 0 of size 5"
    with pytest.raises(ExecutionError, match=message):
        k.gather(x, np.array(-1), validate_indices=validate)
    with pytest.raises(ExecutionError, match=message):
        k.gather_nd(x, grid, validate_indices=validate)
    with pytest.raises(ExecutionError, match=message):
        k.scatter(x, np.array([-1]), counted(1, 2), validate_indices=validate)


def test_negative_indices_count_from_the_end_before_ios17() -> None:
    """iOS15 and iOS16 document -size <= index < size."""
    x = counted(5, 2)
    np.testing.assert_array_equal(k.gather(x, np.array(-1)), x[-1])
    np.testing.assert_array_equal(k.gather(x, np.array(-5)), x[0])


@given(st.integers(0, 999), st.integers(0, 2))
def test_gather_along_axis_agrees_with_value_inference(seed: int, axis: int) -> None:
    """Also for negative indices."""
    x = counted(3, 3, 3)
    indices = places(seed, 3, 3, 3, 3)
    with Function({"unused": mb.placeholder(shape=(1,), dtype=types.fp32)}):
        expected = mb.gather_along_axis(x=x, indices=indices, axis=axis).val
    np.testing.assert_array_equal(k.gather_along_axis(x, indices, axis), expected)


@given(st.integers(0, 999), st.integers(0, 1), st.integers(1, 2))
def test_gather_nd_takes_each_tuple(seed: int, batch: int, depth: int) -> None:
    """Tuple by tuple, the slice that plain indexing gives."""
    x = counted(3, 4, 5)
    shape = (3, 2) if batch else (2, 2)
    columns = [places(seed + each, x.shape[batch + each], *shape) for each in range(depth)]
    found = k.gather_nd(x, np.stack(columns, axis=-1), batch)
    for row, column in np.ndindex(*shape):
        source = x[row] if batch else x
        expected = source[tuple(int(each[row, column]) for each in columns)]
        np.testing.assert_array_equal(found[row, column], expected)


@given(st.integers(0, 999), st.sampled_from(sorted(MODES)), st.integers(0, 1))
def test_scatter_agrees_with_torch(seed: int, mode: str, axis: int) -> None:
    """Repeated indices combine; scatter takes slices, scatter_along_axis single values."""
    data, updates = counted(4, 4), counted(4, 4) - 7
    indices = places(seed, 4, 4) % 4
    expected = torch.tensor(data).index_reduce(
        axis, torch.tensor(indices), torch.tensor(updates), MODES[mode].replace("sum", "mean")
    )
    if mode == "add":
        expected = torch.tensor(data).index_add(axis, torch.tensor(indices), torch.tensor(updates))
    np.testing.assert_allclose(k.scatter(data, indices, updates, axis, mode), expected, rtol=1e-5)
    grid = places(seed + 1, 4, 4, 4) % 4
    along = torch.tensor(data).scatter_reduce(
        axis, torch.tensor(grid, dtype=torch.int64), torch.tensor(updates), MODES[mode]
    )
    np.testing.assert_allclose(k.scatter_along_axis(data, grid, updates, axis, mode), along, rtol=1e-5)


@pytest.mark.parametrize(
    ("mode", "expected"), [("update", [9, 2, 3]), ("sub", [-13, 2, 3]), ("div", [1 / 45, 2, 3])]
)
def test_modes_that_torch_lacks(mode: str, expected: list[float]) -> None:
    """The last update stays; subtractions and divisions follow one another; the input is left alone."""
    data, indices, updates = counted(3), np.array([0, 0]), floats([5, 9])
    np.testing.assert_allclose(k.scatter(data, indices, updates, 0, mode), expected, rtol=1e-6)
    np.testing.assert_allclose(k.scatter_along_axis(data, indices, updates, 0, mode), expected, rtol=1e-6)
    np.testing.assert_allclose(k.scatter_nd(data, indices[:, None], updates, mode), expected, rtol=1e-6)
    np.testing.assert_array_equal(data, [1, 2, 3])


def test_integers_divide_and_misfits_are_named() -> None:
    """Integer division gives integers; unknown modes, misshapen updates and absent axes are refused."""
    whole = np.array([7, 8], dtype=np.int32)
    np.testing.assert_array_equal(
        k.scatter(whole, np.array([0]), np.array([2], dtype=np.int32), 0, "div"), [3, 8]
    )
    with pytest.raises(ExecutionError, match="mode 'avg' is not known"):
        k.scatter(counted(3), np.array([0]), counted(1), 0, "avg")
    with pytest.raises(ExecutionError, match=r"updates \[2\] do not fill \[1\]"):
        k.scatter(counted(3), np.array([0]), counted(2))
    with pytest.raises(ExecutionError, match="axis 3 does not exist in a tensor of rank 1"):
        k.gather(counted(3), np.array([0]), 3)
    with pytest.raises(ExecutionError, match="index more axes"):
        k.gather_nd(counted(3), np.array([[0, 0]]))
