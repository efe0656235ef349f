"""Making, joining and dividing tensors: against NumPy, PyTorch and coremltools' value inference."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import Function, types
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import tensor_operation as k


def floats(values: Any) -> Any:
    return np.array(values, dtype=np.float32)


settings.register_profile("tensors", max_examples=30, deadline=None)
settings.load_profile("tensors")


def counted(*shape: int) -> Any:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape) + 1


def inferred(op_type: str, **inputs: Any) -> Any:
    """What coremltools' value inference gives for an op on constants."""
    with Function({"unused": mb.placeholder(shape=(1,), dtype=types.fp32)}):
        return getattr(mb, op_type)(**inputs).val


@given(st.integers(-1, 4), st.integers(-1, 4))
def test_band_part_agrees_with_value_inference(lower: int, upper: int) -> None:
    """All widths, negative ones for a whole triangle, on a stack of matrices that are not square."""
    x = counted(2, 3, 4)
    np.testing.assert_array_equal(
        k.band_part(x, lower, upper), inferred("band_part", x=x, lower=lower, upper=upper)
    )


@given(st.integers(-3, 2), st.booleans())
def test_concat_joins_or_interleaves(axis: int, interleave: bool) -> None:
    """Interleaved, slices take turns: every second one comes from the second tensor."""
    first, second = counted(2, 3, 4), -counted(2, 3, 4)
    found = np.moveaxis(k.concat([first, second], axis, interleave), axis, 0)
    half = found.shape[0] // 2
    parts = (found[::2], found[1::2]) if interleave else (found[:half], found[half:])
    np.testing.assert_array_equal(np.moveaxis(parts[0], 0, axis), first)
    np.testing.assert_array_equal(np.moveaxis(parts[1], 0, axis), second)


def test_concat_of_scalars_makes_a_vector() -> None:
    """Rank 0 has no axis to join along."""
    np.testing.assert_array_equal(k.concat([np.array(1), np.array(2)], 0), [1, 2])


@given(st.integers(-1, 1), st.booleans(), st.booleans())
def test_cumsum_adds_what_lies_before(axis: int, exclusive: bool, reverse: bool) -> None:
    """Reversed and exclusive sums are the documented ones, and the input is left alone."""
    x = counted(3, 4)
    lanes = np.moveaxis(x, axis, 0)
    expected = np.zeros_like(lanes)
    for step in range(len(lanes)):
        begin, end = (step + exclusive, None) if reverse else (0, step + (not exclusive))
        expected[step] = lanes[begin:end].sum(axis=0)
    np.testing.assert_array_equal(k.cumsum(x, axis, exclusive, reverse), np.moveaxis(expected, 0, axis))
    np.testing.assert_array_equal(x, counted(3, 4))


def test_fills_take_shape_and_dtype() -> None:
    """The dtype is that of the value, also where a reference gives the shape."""
    np.testing.assert_array_equal(k.fill(np.array([2, 1]), np.float32(7)), [[7], [7]])
    like = k.fill_like(counted(3), np.int32(2))
    assert like.dtype == np.int32
    np.testing.assert_array_equal(like, [2, 2, 2])


@pytest.mark.parametrize("axis", [-2, 0, 1, 2, 3])
def test_flatten2d_splits_at_the_axis(axis: int) -> None:
    """Rows are what comes before; axis 0 leaves a single row, the rank a single column."""
    x = counted(2, 3, 4)
    np.testing.assert_array_equal(k.flatten2d(x, axis), x.reshape(int(np.prod(x.shape[:axis])), -1))


def test_identity_shape_and_non_zero() -> None:
    """What is given comes back; sizes and places are int32."""
    x = floats([[0, 2], [3, 0]])
    assert k.identity(x) is x
    np.testing.assert_array_equal(k.shape(counted(2, 3)), [2, 3])
    np.testing.assert_array_equal(k.non_zero(x), [[0, 1], [1, 0]])
    assert k.shape(x).dtype == k.non_zero(x).dtype == np.int32


@pytest.mark.parametrize("axis", [-1, 0, 1, -3])
def test_one_hot_agrees_with_torch(axis: int) -> None:
    """The new axis goes where it is asked for, and an index outside sets nothing."""
    indices = np.array([[0, 2], [1, 1]])
    expected = torch.nn.functional.one_hot(torch.tensor(indices), 3).movedim(-1, axis)
    np.testing.assert_array_equal(k.one_hot(indices, 3, axis), expected)
    np.testing.assert_array_equal(k.one_hot(np.array([5, -1]), 2, -1, 1.0, 0.5), np.full((2, 2), 0.5))


@given(
    st.sampled_from(["constant", "reflect", "replicate"]), st.lists(st.integers(0, 2), min_size=4, max_size=4)
)
def test_pad_agrees_with_value_inference(mode: str, amounts: list[int]) -> None:
    """The last two axes of three, in each mode."""
    x, pads = counted(2, 3, 4), np.array(amounts, dtype=np.int32)
    expected = inferred("pad", x=x, pad=pads, mode=mode, constant_val=np.float32(9))
    np.testing.assert_array_equal(k.pad(x, pads, mode, 9), expected)


def test_pad_refuses_what_the_op_excludes() -> None:
    """More reflection than there is to reflect, negative amounts, unknown modes, too many axes."""
    x = counted(2, 3)
    with pytest.raises(ExecutionError, match=r"pad \[3, 0\] in mode reflect exceeds axis 1 of size 3"):
        k.pad(x, np.array([3, 0]), "reflect")
    with pytest.raises(ExecutionError, match=r"pad \[-1, 0\] does not fit"):
        k.pad(x, np.array([-1, 0]))
    with pytest.raises(ExecutionError, match="mode 'wrap' is not known"):
        k.pad(x, np.array([1, 0]), "wrap")
    with pytest.raises(ExecutionError, match=r"shape \[2, 3\]"):
        k.pad(x, np.array([0, 0, 0, 0, 1, 1]))


@given(st.integers(-5, 5), st.integers(-5, 5), st.sampled_from([-2, -1, 1, 3]))
def test_range_1d_agrees_with_numpy(start: int, end: int, step: int) -> None:
    """Both directions, empty ranges included."""
    found = k.range_1d(np.int32(start), np.int32(end), np.int32(step))
    np.testing.assert_array_equal(found, np.arange(start, end, step))
    assert found.dtype == np.int32


def test_range_1d_needs_a_step() -> None:
    """A step of 0 leads nowhere."""
    with pytest.raises(ExecutionError, match="step is 0 between 1 and 3"):
        k.range_1d(np.int32(1), np.int32(3), np.int32(0))


def test_split_by_count_and_by_sizes() -> None:
    """The parts join to the whole; what does not divide or add up is refused."""
    x = counted(2, 6)
    np.testing.assert_array_equal(k.split(x, -1, 3)[1], x[:, 2:4])
    parts = k.split(x, 1, split_sizes=np.array([1, 5]))
    assert [each.shape for each in parts] == [(2, 1), (2, 5)]
    np.testing.assert_array_equal(k.concat(list(parts), 1), x)
    with pytest.raises(ExecutionError, match="axis 1 of size 6 does not divide into 4 parts"):
        k.split(x, 1, 4)
    with pytest.raises(ExecutionError, match=r"split_sizes \[1, 4\] do not add up to axis 1 of size 6"):
        k.split(x, 1, split_sizes=np.array([1, 4]))


def test_stack_and_tile_agree_with_numpy() -> None:
    """A new axis, and repetitions of the existing ones."""
    x = counted(2, 3)
    np.testing.assert_array_equal(k.stack([x, x], -1)[..., 1], x)
    np.testing.assert_array_equal(k.tile(x, np.array([2, 1])), np.concatenate([x, x]))


shapes = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@given(shapes, st.data())
def test_split_agrees_with_torch(shape: list[int], data: st.DataObject) -> None:
    """Along any axis, into any sizes; joined again they are the whole."""
    x, axis = counted(*shape), data.draw(st.integers(-len(shape), len(shape) - 1))
    first = data.draw(st.integers(0, shape[axis]))
    sizes = [first, shape[axis] - first]
    ours = k.split(x, axis, split_sizes=np.array(sizes))
    for part, expected in zip(ours, torch.split(torch.tensor(x), sizes, axis), strict=True):
        np.testing.assert_array_equal(part, expected)
    np.testing.assert_array_equal(k.concat(list(ours), axis), x)


@given(shapes, st.data())
def test_stack_and_tile_agree_with_torch(shape: list[int], data: st.DataObject) -> None:
    """Any new axis, any repetitions."""
    x, axis = counted(*shape), data.draw(st.integers(-len(shape) - 1, len(shape)))
    reps = data.draw(st.lists(st.integers(1, 3), min_size=len(shape), max_size=len(shape)))
    t = torch.tensor(x)
    np.testing.assert_array_equal(k.stack([x, -x], axis), torch.stack([t, -t], axis))
    np.testing.assert_array_equal(k.tile(x, np.array(reps)), t.tile(reps))


@given(st.lists(st.integers(-1, 5), min_size=1, max_size=6), st.integers(1, 5), st.integers(-2, 1))
def test_one_hot_sets_a_single_place_per_index(indices: list[int], size: int, axis: int) -> None:
    """Along the new axis each index inside has one `on_value` at its place, each index outside none."""
    hot = np.moveaxis(k.one_hot(np.array(indices), size, axis, 2.0, -1.0), axis, -1)
    for index, row in zip(indices, hot, strict=True):
        expected = [2.0 if place == index else -1.0 for place in range(size)]
        np.testing.assert_array_equal(row, expected)


@given(st.integers(0, 999), shapes)
def test_non_zero_and_flatten2d_agree_with_torch(seed: int, shape: list[int]) -> None:
    """Places in row-major order; rows are the axes before."""
    x = (np.random.default_rng(seed).random(shape) < 0.5).astype(np.float32)
    np.testing.assert_array_equal(k.non_zero(x), torch.nonzero(torch.tensor(x)))
    for axis in range(len(shape)):
        expected = torch.tensor(x).reshape(int(np.prod(shape[:axis])), -1)
        np.testing.assert_array_equal(k.flatten2d(x, axis), expected)
