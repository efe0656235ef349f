"""Compressed constants and run-time quantization against coremltools' own decompression; random draws."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from coremltools.optimize import _utils as theirs
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import compression as k
from pocketrec.validate.coreml_program.kernels import quantization, random

settings.register_profile("kernels", max_examples=40, deadline=None)
settings.load_profile("kernels")

rng = np.random.default_rng(7)


def floats(*shape: int) -> Any:
    return rng.standard_normal(shape).astype(np.float32)


@given(st.sampled_from([np.int8, np.uint8]), st.integers(0, 2), st.booleans())
def test_affine_dequantize_spreads_along_its_axis(dtype: type, axis: int, single: bool) -> None:
    """Scales and zero points, one or one per slice, give scale · (data - zero point) without wrapping."""
    info = np.iinfo(dtype)
    data: Any = rng.integers(info.min, info.max + 1, (2, 3, 4)).astype(dtype)
    shape = () if single else (data.shape[axis],)
    zero: Any = rng.integers(info.min, info.max + 1, shape).astype(dtype)
    scale: Any = np.abs(floats(*shape)) if shape else np.float32(0.3)
    ours = k.constexpr_affine_dequantize(data, zero, scale, axis)
    np.testing.assert_allclose(
        ours, theirs.dequantize_by_scale_and_zp(data, scale, zero, axis), rtol=1e-5, atol=1e-5
    )


@given(st.sampled_from([1, 2, 4, 6, 8]), st.integers(1, 30))
def test_packed_palette_indices_are_read_from_the_least_significant_bit(bits: int, count: int) -> None:
    """iOS16's packed bytes give the entries in order, for every width, also across bytes."""
    indices = rng.integers(0, 2**bits, count)
    packed = theirs.pack_elements_into_bits(indices.astype(np.uint8), bits)
    lut = floats(2**bits)
    np.testing.assert_array_equal(k.constexpr_lut_to_dense(packed, lut, np.array([count])), lut[indices])


@given(
    st.sampled_from([(1, 1), (2, 1), (1, 3), (2, 3)]), st.sampled_from([1, 2, 3]), st.sampled_from([0, 1, -1])
)
def test_grouped_and_vector_palettes(groups: tuple[int, int], vector: int, axis: int) -> None:
    """Each group has its own table, and vectors fill the result along `vector_axis`."""
    indices = rng.integers(0, 4, (4, 6)).astype(np.uint8)
    lut = floats(*groups, 4, vector)
    ours = k.constexpr_lut_to_dense(indices, lut, vector_axis=axis)
    np.testing.assert_array_equal(ours, theirs.lut_to_dense(indices, lut, axis))


def test_sparse_constants_of_both_opsets() -> None:
    """Packed and plain masks place the values alike; a wrong count is an error with both numbers."""
    mask = rng.integers(0, 2, (3, 5)).astype(np.uint8)
    values = floats(int(mask.sum()))
    dense = k.constexpr_sparse_to_dense(values, mask)
    np.testing.assert_array_equal(dense[mask != 0], values)
    packed = np.packbits(mask.reshape(-1), bitorder="little")
    np.testing.assert_array_equal(k.constexpr_sparse_to_dense(values, packed, np.array([3, 5])), dense)
    with pytest.raises(ExecutionError, match=rf"{len(values)} bits set for {len(values) + 1} values"):
        k.constexpr_sparse_to_dense(floats(len(values) + 1), mask)


@given(st.sampled_from([(1, 1), (4, 1), (2, 3), (4, 6)]), st.booleans())
def test_blockwise_scales_serve_their_blocks(blocks: tuple[int, int], with_offset: bool) -> None:
    """Block (i, j) of the data uses scale and offset (i, j)."""
    data = rng.integers(-8, 8, (4, 6)).astype(np.int8)
    scale = floats(*blocks)
    offset = rng.integers(-8, 8, blocks).astype(np.int8) if with_offset else None
    repeats = (4 // blocks[0], 6 // blocks[1])
    whole = np.kron(scale, np.ones(repeats, dtype=np.float32))
    shift = 0 if offset is None else np.kron(offset, np.ones(repeats))
    ours = k.constexpr_blockwise_shift_scale(data, scale, offset)
    np.testing.assert_allclose(ours, whole * (data - shift), rtol=1e-6)


def test_sparse_palettes_and_scales_as_documented() -> None:
    """The example in constexpr_lut_to_sparse's text, vectors over axis 0, and joint shift and scale."""
    mask = np.array([[1, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 1], [0, 1, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0]])
    codes = np.array([0, 1, 1, 0, 1, 1, 0, 0, 1], dtype=np.uint8)
    lut = np.array([2.0, 3.0], dtype=np.float32)
    same, values = k.constexpr_lut_to_sparse(mask, codes, lut.reshape(1, 1, 2, 1))
    np.testing.assert_array_equal(same, mask)
    np.testing.assert_array_equal(values, [2, 3, 3, 2, 3, 3, 2, 2, 3])
    pairs = np.repeat(lut, 2).reshape(1, 1, 2, 2)
    longer, values = k.constexpr_lut_to_sparse(mask, codes, pairs, np.int32(0))
    np.testing.assert_array_equal(longer, np.repeat(mask, 2, axis=0))
    assert values.tolist()[:4] == [2, 3, 2, 3]
    data_mask = np.array([[1, 1, 0, 0], [1, 1, 1, 0], [0, 0, 1, 1], [1, 1, 0, 0]])
    _, scaled = k.constexpr_sparse_blockwise_shift_scale(
        data_mask,
        np.array([10, 11, 3, 4, 5, 6, 7, 8, 9], dtype=np.int8),
        np.array([[0.1, 0.2, 0.3, 0.4]], dtype=np.float32),
        np.array([[1, 2, 3, 4]], dtype=np.int8),
    )
    np.testing.assert_allclose(scaled, [0.9, 1.8, 0.2, 0.4, 0.6, 0.9, 1.2, 0.7, 1.4], rtol=1e-5)


@given(st.sampled_from(["int8", "uint8"]), st.booleans())
def test_quantize_rounds_clips_and_comes_back(output_dtype: str, per_axis: bool) -> None:
    """Codes are coremltools' own, and dequantizing them returns within half a scale where nothing clipped."""
    x = floats(3, 4)
    scale: Any = np.abs(floats(3)) + 0.1 if per_axis else np.float32(0.05)
    zero = np.array([3, 0, 100], dtype=output_dtype) if per_axis else np.array(3, dtype=output_dtype)
    axis = 0 if per_axis else None
    codes = quantization.quantize(x, scale, output_dtype, zero, axis)
    promoted = [theirs.promote_rank_to_same_as_data(np.asarray(each), x, axis) for each in (scale, zero)]
    np.testing.assert_array_equal(codes, theirs.quantize_by_scale_and_zp(x, *promoted, output_dtype))
    back = quantization.dequantize(codes, scale, zero, axis)
    info = np.iinfo(output_dtype)
    free = (codes > info.min) & (codes < info.max)
    assert (np.abs(back - x) <= promoted[0] / 2 + 1e-6)[free].all()


def test_random_draws_follow_their_distributions_and_seeds() -> None:
    """Means are right, a seed repeats itself, and without one the run's generator is used."""
    op = SimpleNamespace(rng=np.random.default_rng(1))
    shape = np.array([20000])
    assert random.random_bernoulli(shape, 0.3, op=op).mean() == pytest.approx(0.3, abs=0.02)
    drawn = random.random_normal(shape, 2.0, 3.0, op=op)
    assert (drawn.mean(), drawn.std()) == (pytest.approx(2.0, abs=0.1), pytest.approx(3.0, abs=0.1))
    uniform = random.random_uniform(shape, -1.0, 3.0, op=op)
    assert uniform.min() >= -1
    assert uniform.max() < 3
    first, again = (random.random_uniform(shape, seed=5, op=op) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    probabilities = np.array([[0.1, 0.0, 0.9]], dtype=np.float32)
    for mode, x in (("probs", probabilities), ("logits", np.log(probabilities + 1e-30))):
        classes = random.random_categorical(x, mode, 20000, op=op)
        assert np.bincount(classes[0].astype(int), minlength=3)[1] == 0
        assert (classes == 2).mean() == pytest.approx(0.9, abs=0.02)


@given(st.integers(0, 2**31 - 1), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_a_seed_repeats_itself_and_values_stay_in_range(seed: int, shape: list[int]) -> None:
    """Any seed and shape; a class that has no probability is never drawn."""
    op, sizes = SimpleNamespace(rng=np.random.default_rng(0)), np.array(shape)
    for kernel in (random.random_uniform, random.random_normal, random.random_bernoulli):
        drawn = kernel(sizes, seed=seed, op=op)
        assert drawn.shape == tuple(shape)
        np.testing.assert_array_equal(drawn, kernel(sizes, seed=seed, op=op))
    uniform = random.random_uniform(sizes, -2.0, 5.0, seed=seed, op=op)
    assert ((uniform >= -2) & (uniform < 5)).all()
    assert np.isin(random.random_bernoulli(sizes, seed=seed, op=op), [0, 1]).all()
    probabilities = np.array([[0.0, 1.0, 0.0]], dtype=np.float32)
    assert (random.random_categorical(probabilities, "probs", 9, seed=seed, op=op) == 1).all()
