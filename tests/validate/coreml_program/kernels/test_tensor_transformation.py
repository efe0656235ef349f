"""Moving elements: against NumPy, PyTorch and coremltools' value inference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
import pytest
import torch
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import Function, types
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program import CoreMLInterpreter
from pocketrec.validate.coreml_program.kernels import tensor_transformation as k

settings.register_profile("kernels", max_examples=40, deadline=None)
settings.load_profile("kernels")

shapes = hnp.array_shapes(min_dims=1, max_dims=4, min_side=1, max_side=5)


def counted(shape: tuple[int, ...]) -> Any:
    return np.arange(np.prod(shape), dtype=np.float32).reshape(shape)


def inferred(op: Any, **inputs: Any) -> Any:
    """What coremltools' value inference gives for an op on constants."""
    with Function({"unused": mb.placeholder(shape=(1,), dtype=types.fp32)}):
        return op(**inputs).val


@given(shapes)
def test_reshape_resolves_minus_one(shape: tuple[int, ...]) -> None:
    """A single -1 takes what the other sizes leave."""
    assert k.reshape(counted(shape), np.array([-1])).shape == (np.prod(shape),)


def test_reshape_aligns_zeros_at_the_right() -> None:
    """A 0 inherits from the axis at the same distance from the right, and is 1 where there is none."""
    assert k.reshape(counted((2, 50)), np.array([1, 0, -1, 0])).shape == (1, 1, 2, 50)


def test_reshape_names_what_does_not_fit() -> None:
    """A wrong volume is an error with both shapes."""
    with pytest.raises(ExecutionError, match=r"\[2, 3\] does not fit shape \[4\]"):
        k.reshape(counted((2, 3)), np.array([4]))


def test_reshape_like_joins_parts_of_the_references() -> None:
    """The documented example: references [2, 3, 4] and [1, 5, 6] give (2, 3, 5, 6)."""
    out = k.reshape_like(
        counted((180,)), [counted((2, 3, 4)), counted((1, 5, 6))], [0, 1], [2, 0], [False, True]
    )
    assert out.shape == (2, 3, 5, 6)


def test_reshape_like_runs_with_a_single_reference(tmp_path: Path) -> None:
    """A tuple of one, which a saved program does not tell from a plain input, is still a list."""

    @mb.program(  # type: ignore[untyped-decorator]
        input_specs=[mb.TensorSpec(shape=(2, 3)), mb.TensorSpec(shape=(3, 2))], opset_version=ct.target.iOS17
    )
    def program(x: Any, ref: Any) -> Any:
        return mb.reshape_like(x=x, ref_tensors=(ref,), begins=(0,), ends=(2,), end_masks=(False,), name="y")

    path = tmp_path / "like.mlpackage"
    ct.convert(
        program, minimum_deployment_target=ct.target.iOS17, compute_precision=ct.precision.FLOAT32
    ).save(str(path))
    with CoreMLInterpreter(path) as interpreter:
        out = interpreter.run({"x": counted((2, 3)), "ref": counted((3, 2))})["y"]
    np.testing.assert_array_equal(out, counted((3, 2)))


@given(shapes, st.data())
def test_transpose_reverse_and_squeeze_agree_with_torch(shape: tuple[int, ...], data: Any) -> None:
    """Permutations (negative axes too), flips and squeezes are those of PyTorch."""
    x = counted(shape)
    perm = data.draw(st.permutations(range(x.ndim)))
    signed = [axis - x.ndim if data.draw(st.booleans()) else axis for axis in perm]
    np.testing.assert_array_equal(k.transpose(x, np.array(signed)), x.transpose(perm))
    axes = data.draw(st.lists(st.integers(0, x.ndim - 1), unique=True, min_size=1))
    np.testing.assert_array_equal(k.reverse(x, np.array(axes)), torch.flip(torch.tensor(x), axes))
    np.testing.assert_array_equal(k.squeeze(x, np.array(axes)), torch.squeeze(torch.tensor(x), tuple(axes)))


@given(shapes, st.data())
def test_expand_dims_agrees_with_value_inference(shape: tuple[int, ...], data: Any) -> None:
    """Axes count in the result, in any order."""
    x = counted(shape)
    axes = np.array(data.draw(st.lists(st.integers(0, x.ndim), unique=True, min_size=1, max_size=2)))
    np.testing.assert_array_equal(k.expand_dims(x, axes), inferred(mb.expand_dims, x=x, axes=axes))


def test_reverse_sequence_reverses_each_prefix() -> None:
    """Only the first `lengths[i]` steps of batch element i turn round."""
    x = counted((2, 4))
    out = k.reverse_sequence(x, np.array([3, 0]), seq_axis=1, batch_axis=0)
    np.testing.assert_array_equal(out, [[2, 1, 0, 3], [4, 5, 6, 7]])
    np.testing.assert_array_equal(k.reverse_sequence(x.T, np.array([3, 0]), seq_axis=0, batch_axis=1), out.T)
    with pytest.raises(ExecutionError, match=r"lengths \[5, 0\]"):
        k.reverse_sequence(x, np.array([5, 0]), seq_axis=1, batch_axis=0)


@given(hnp.array_shapes(min_dims=1, max_dims=3, min_side=2, max_side=5), st.data())
def test_slice_by_index_agrees_with_value_inference(shape: tuple[int, ...], data: Any) -> None:
    """Begins, ends, strides of both signs and masks mean what value inference takes them for."""
    x, rank = counted(shape), len(shape)
    begin = np.array([data.draw(st.integers(0, size - 1)) for size in shape], dtype=np.int32)
    end = np.array(
        [data.draw(st.integers(int(b) + 1, s)) for b, s in zip(begin, shape, strict=True)], dtype=np.int32
    )
    stride = np.array(data.draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank)), dtype=np.int32)
    masks = {
        name: np.array(data.draw(st.lists(st.booleans(), min_size=rank, max_size=rank)))
        for name in ("begin_mask", "end_mask")
    }
    given_slice = {"begin": begin, "end": end, "stride": stride, **masks}
    expected = inferred(mb.slice_by_index, x=x, **given_slice)
    np.testing.assert_array_equal(k.slice_by_index(x, **given_slice), expected)
    updated = k.slice_update(x, np.full_like(expected, -1), **given_slice)
    np.testing.assert_array_equal(k.slice_by_index(updated, **given_slice), np.full_like(expected, -1))
    assert np.count_nonzero(updated == -1) == expected.size


def test_slice_by_index_squeezes_and_stays_inside() -> None:
    """A squeezed axis is indexed, and an index beyond it is an error with index and size."""
    x = counted((3, 4))
    mask = np.array([True, False])
    out = k.slice_by_index(x, np.array([-1, 1]), np.array([0, 3]), squeeze_mask=mask)
    np.testing.assert_array_equal(out, x[-1, 1:3])
    with pytest.raises(ExecutionError, match="begin 3 is outside axis 0 of size 3"):
        k.slice_by_index(x, np.array([3, 1]), np.array([0, 3]), squeeze_mask=mask)


def test_slice_by_size_takes_the_rest_and_refuses_more() -> None:
    """-1 takes what remains; more than there is is an error instead of a shorter result."""
    x = counted((4, 5))
    np.testing.assert_array_equal(k.slice_by_size(x, np.array([1, -2]), np.array([2, -1])), x[1:3, -2:])
    with pytest.raises(ExecutionError, match="begin 3, size 2 leave axis 0 of size 4"):
        k.slice_by_size(x, np.array([3, 0]), np.array([2, 1]))


@given(st.integers(1, 3), st.integers(1, 3), st.integers(1, 3), st.integers(2, 3))
def test_space_and_depth_are_inverse_and_pixels_agree_with_torch(n: int, c: int, h: int, block: int) -> None:
    """Each pair undoes itself; the pixel pair is PyTorch's."""
    x = counted((n, c * block * block, h, h + 1))
    np.testing.assert_array_equal(k.space_to_depth(k.depth_to_space(x, block), block), x)
    np.testing.assert_array_equal(k.pixel_unshuffle(k.pixel_shuffle(x, block), block), x)
    expected = torch.nn.functional.pixel_shuffle(torch.tensor(x), block)
    np.testing.assert_array_equal(k.pixel_shuffle(x, block), expected)


def test_depth_to_space_places_blocks_slowest() -> None:
    """Channel b·C/b² + c goes to block offset b of channel c, as in TensorFlow."""
    x = np.arange(8, dtype=np.float32).reshape(1, 8, 1, 1)
    np.testing.assert_array_equal(k.depth_to_space(x, 2)[0, 0], [[0, 2], [4, 6]])


def test_space_to_batch_and_back() -> None:
    """batch_to_space crops what space_to_batch padded."""
    x, block, edge = counted((2, 3, 3, 5)), np.array([2, 3]), np.array([[1, 0], [0, 1]])
    moved = k.space_to_batch(x, block, edge)
    assert moved.shape == (12, 3, 2, 2)
    np.testing.assert_array_equal(k.batch_to_space(moved, block, edge), x)


def test_sliding_windows_agree_with_torch_unfold() -> None:
    """Windows follow their axis, where PyTorch puts them last."""
    x = counted((2, 7, 3))
    expected = torch.tensor(x).unfold(1, 3, 2).movedim(-1, 2)
    np.testing.assert_array_equal(k.sliding_windows(x, -2, 3, 2), expected)


@given(st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.tuples(*[st.integers(0, 1)] * 4))
def test_space_to_batch_is_undone_by_batch_to_space(n: int, b0: int, b1: int, edges: tuple[int, ...]) -> None:
    """For any blocks and paddings that divide."""
    top, bottom, left, right = edges
    x = counted((n, 2, 4 * b0 - top - bottom, 4 * b1 - left - right))
    block, edge = np.array([b0, b1]), np.array([[top, bottom], [left, right]])
    moved = k.space_to_batch(x, block, edge)
    assert moved.shape == (n * b0 * b1, 2, 4, 4)
    np.testing.assert_array_equal(k.batch_to_space(moved, block, edge), x)


@given(st.integers(1, 3), st.integers(4, 7), st.integers(1, 4), st.integers(1, 3))
def test_sliding_windows_agree_with_torch_in_any_size(n: int, extent: int, size: int, stride: int) -> None:
    """Windows of any size and stride."""
    x = counted((n, extent, 2))
    expected = torch.tensor(x).unfold(1, size, stride).movedim(-1, 2)
    np.testing.assert_array_equal(k.sliding_windows(x, 1, size, stride), expected)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=4), st.booleans())
def test_reverse_sequence_reverses_any_prefixes(lengths: list[int], batch_first: bool) -> None:
    """The first `lengths[i]` elements are turned, the others stay."""
    x = counted((len(lengths), 5, 2))
    expected = np.stack([np.concatenate([row[:n][::-1], row[n:]]) for row, n in zip(x, lengths, strict=True)])
    turned = x if batch_first else x.swapaxes(0, 1)
    axes = (1, 0) if batch_first else (0, 1)
    ours = k.reverse_sequence(turned, np.array(lengths), *axes)
    np.testing.assert_array_equal(ours if batch_first else ours.swapaxes(0, 1), expected)


@given(st.data())
def test_slice_by_size_agrees_with_torch(data: st.DataObject) -> None:
    """Any start from either side, any size that fits, -1 for the rest."""
    x = counted((4, 5))
    begin = [data.draw(st.integers(-n, n - 1)) for n in x.shape]
    starts = [b % n for b, n in zip(begin, x.shape, strict=True)]
    size = [
        data.draw(st.sampled_from([-1, *range(1, n - s + 1)])) for s, n in zip(starts, x.shape, strict=True)
    ]
    expected = torch.tensor(x)
    for axis, (start, count) in enumerate(zip(starts, size, strict=True)):
        expected = expected.narrow(axis, start, x.shape[axis] - start if count == -1 else count)
    np.testing.assert_array_equal(k.slice_by_size(x, np.array(begin), np.array(size)), expected)
