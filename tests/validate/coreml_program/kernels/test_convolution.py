"""Convolution and pooling against PyTorch."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.errors import ExecutionError
from pocketrec.validate.coreml_program.kernels import conv, pool

settings.register_profile("kernels", max_examples=40, deadline=None)
settings.load_profile("kernels")

CONVOLVE: dict[int, Any] = {1: F.conv1d, 2: F.conv2d, 3: F.conv3d}
TRANSPOSE: dict[int, Any] = {1: F.conv_transpose1d, 2: F.conv_transpose2d, 3: F.conv_transpose3d}
AVERAGE: dict[int, Any] = {1: F.avg_pool1d, 2: F.avg_pool2d, 3: F.avg_pool3d}
MAXIMUM: dict[int, Any] = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


def normal(*shape: int) -> Any:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def close(ours: Any, torchs: Any) -> None:
    assert ours.shape == tuple(torchs.shape)
    np.testing.assert_allclose(ours, torchs.numpy(), atol=1e-4, rtol=1e-4)


ranks = st.integers(1, 3)
groupings = st.sampled_from([(1, 3, 2), (2, 4, 4), (3, 3, 3), (4, 4, 8)])


@given(ranks, groupings, st.integers(1, 3), st.integers(1, 2), st.integers(1, 2), st.integers(0, 2))
def test_conv_agrees_with_torch(
    rank: int, grouping: tuple[int, int, int], kernel: int, stride: int, dilation: int, pad: int
) -> None:
    """Any rank, grouping (depthwise included), stride, dilation and padding convolves as in PyTorch."""
    groups, cin, cout = grouping
    x, bias = normal(2, cin, *range(6, 6 + rank)), normal(cout)
    weight = normal(cout, cin // groups, *[kernel] * rank)
    ours = conv.conv(
        x,
        weight,
        bias,
        strides=np.full(rank, stride),
        pad_type="custom",
        pad=np.full(2 * rank, pad),
        dilations=np.full(rank, dilation),
        groups=groups,
    )
    parts = (torch.tensor(each) for each in (x, weight, bias))
    close(ours, CONVOLVE[rank](*parts, stride=stride, padding=pad, dilation=dilation, groups=groups))


@given(ranks, groupings, st.integers(1, 3), st.integers(1, 3), st.integers(1, 2), st.integers(0, 1))
def test_conv_transpose_agrees_with_torch(
    rank: int, grouping: tuple[int, int, int], kernel: int, stride: int, dilation: int, pad: int
) -> None:
    """The transposed convolution is PyTorch's for any rank, grouping, stride, dilation and padding."""
    groups, cin, cout = grouping
    x, bias = normal(2, cin, *range(3, 3 + rank)), normal(cout)
    weight = normal(cin, cout // groups, *[kernel] * rank)
    ours = conv.conv_transpose(
        x,
        weight,
        bias,
        pad=np.full(2 * rank, pad),
        pad_type="custom",
        strides=np.full(rank, stride),
        dilations=np.full(rank, dilation),
        groups=groups,
    )
    parts = (torch.tensor(each) for each in (x, weight, bias))
    close(ours, TRANSPOSE[rank](*parts, stride=stride, padding=pad, dilation=dilation, groups=groups))


def test_conv_transpose_keeps_the_asked_output_shape() -> None:
    """`output_shape` larger than the full result is filled with zeros at the end, as output_padding is."""
    x, weight = normal(1, 2, 4), normal(2, 3, 2)
    expected = F.conv_transpose1d(torch.tensor(x), torch.tensor(weight), stride=3, output_padding=1)
    ours = conv.conv_transpose(x, weight, strides=np.array([3]), output_shape=np.array(expected.shape))
    close(ours, expected)


@pytest.mark.parametrize("pad_type", ["same", "same_lower"])
def test_same_padding_gives_ceil_of_the_ratio(pad_type: str) -> None:
    """The output has ceil(extent / stride) elements; the odd padding is behind, or in front for lower."""
    x, weight = normal(1, 1, 7), normal(1, 1, 4)
    ours = conv.conv(x, weight, strides=np.array([2]), pad_type=pad_type)
    before = 1 if pad_type == "same" else 2
    expected = F.conv1d(F.pad(torch.tensor(x), (before, 3 - before)), torch.tensor(weight), stride=2)
    assert ours.shape[-1] == 4
    close(ours, expected)


def test_half_accumulation_shows_in_every_convolution() -> None:
    """In the stress mode sums of float16 ops are rounded at each step: near the result, and not equal."""
    op = SimpleNamespace(accumulation="float16", output_types=[SimpleNamespace(dtype="float16")])
    x, weight, single = normal(1, 8, 9), normal(8, 8, 3), normal(8, 1, 3)
    for kernel, filters, groups in (
        (conv.conv, weight, 1),
        (conv.conv, single, 8),
        (conv.conv_transpose, weight, 1),
    ):
        exact, rounded = (kernel(x, filters, groups=groups, op=each) for each in (None, op))
        assert (exact != rounded).any()
        np.testing.assert_allclose(rounded, exact, atol=0.1)


def test_conv_names_channels_that_do_not_fit() -> None:
    """A weight for other channels is an error with its shape, the groups and the channels."""
    with pytest.raises(ExecutionError, match=r"weight \[4, 2, 1\] in 1 groups does not take 3 channels"):
        conv.conv(normal(1, 3, 5), normal(4, 2, 1))


def test_conv_quantized_dequantizes_first() -> None:
    """The weight is codes · scale + bias per output channel, and look-up tables are refused by name."""
    codes = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    scale, bias = np.array([0.5, 2.0], dtype=np.float32), np.array([-1.0, 1.0], dtype=np.float32)
    x = normal(1, 2, 5)
    dense = codes * scale[:, None, None] + bias[:, None, None]
    np.testing.assert_allclose(
        conv.conv_quantized(x, codes, "linear", scale, bias), conv.conv(x, dense), rtol=1e-5
    )
    with pytest.raises(ExecutionError, match="'lut'"):
        conv.conv_quantized(x, codes, "lut", scale, bias)


@given(ranks, st.integers(1, 3), st.integers(1, 3), st.integers(0, 1), st.booleans(), st.booleans())
def test_pooling_agrees_with_torch(
    rank: int, kernel: int, stride: int, pad: int, ceil: bool, exclude: bool
) -> None:
    """Averages (padding counted or not) and maxima are PyTorch's, in ceil mode too."""
    pad = min(pad, kernel // 2)
    x = normal(2, 3, *range(6, 6 + rank))
    sizes: dict[str, Any] = {
        "kernel_sizes": np.full(rank, kernel),
        "strides": np.full(rank, stride),
        "pad_type": "custom",
        "pad": np.full(2 * rank, pad),
        "ceil_mode": ceil,
    }
    theirs = {"kernel_size": kernel, "stride": stride, "padding": pad, "ceil_mode": ceil}
    if not (ceil and pad == 0 and stride > kernel):  # there coremltools keeps a window that PyTorch drops
        close(pool.max_pool(x, **sizes), MAXIMUM[rank](torch.tensor(x), **theirs))
        average = AVERAGE[rank](torch.tensor(x), **theirs, count_include_pad=not exclude)
        close(pool.avg_pool(x, **sizes, exclude_padding_from_average=exclude), average)


def test_l2_pool_is_the_root_of_the_sum_of_squares() -> None:
    """No mean is taken."""
    x = np.array([[[3.0, 4.0, 0.0]]], dtype=np.float32)
    np.testing.assert_allclose(pool.l2_pool(x, np.array([2]), "valid"), [[[5.0, 4.0]]])


@given(ranks, st.integers(1, 4), st.integers(1, 3), st.sampled_from(["same", "same_lower"]))
def test_pooling_with_same_padding_gives_ceil_of_the_ratio(
    rank: int, kernel: int, stride: int, pad_type: str
) -> None:
    """It equals explicit padding, the odd element behind, or in front for lower."""
    x = normal(1, 2, *range(5, 5 + rank))
    total = [max(0, (-(-size // stride) - 1) * stride + kernel - size) for size in x.shape[2:]]
    front = [each // 2 if pad_type == "same" else each - each // 2 for each in total]
    pad = np.array([part for a, b in zip(front, total, strict=True) for part in (a, b - a)])
    sizes = {"kernel_sizes": np.full(rank, kernel), "strides": np.full(rank, stride)}
    for each in (pool.max_pool, pool.avg_pool, pool.l2_pool):
        ours = each(x, **sizes, pad_type=pad_type)
        assert list(ours.shape[2:]) == [-(-size // stride) for size in x.shape[2:]]
        np.testing.assert_array_equal(ours, each(x, **sizes, pad_type="custom", pad=pad))
