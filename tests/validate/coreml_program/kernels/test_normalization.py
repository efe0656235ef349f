"""Normalization against PyTorch, for any sizes, scales and epsilons."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.validate.coreml_program.kernels import normalization as k

settings.register_profile("kernels", max_examples=40, deadline=None)
settings.load_profile("kernels")

seeds = st.integers(0, 999)
shapes = st.lists(st.integers(1, 5), min_size=3, max_size=5)
epsilons = st.sampled_from([1e-5, 1e-3, 0.1])


def normal(seed: int, *shape: int) -> Any:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def close(ours: Any, theirs: Any) -> None:
    assert ours.shape == tuple(theirs.shape)
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4, rtol=1e-4)


@given(seeds, shapes, epsilons, st.booleans())
def test_batch_norm_agrees_with_torch(seed: int, shape: list[int], epsilon: float, affine: bool) -> None:
    """Statistics, gamma and beta belong to the channel, axis 1, whatever the rank."""
    x, channels = normal(seed, *shape), shape[1]
    mean, variance = normal(seed + 1, channels), np.abs(normal(seed + 2, channels)) + 0.1
    gamma, beta = (normal(seed + 3, channels), normal(seed + 4, channels)) if affine else (None, None)
    t = [None if each is None else torch.tensor(each) for each in (x, mean, variance, gamma, beta)]
    ours = k.batch_norm(x, mean, variance, gamma, beta, np.float32(epsilon))
    close(ours, F.batch_norm(*t, eps=epsilon))  # type: ignore[arg-type, misc]


@given(seeds, st.integers(1, 3), st.lists(st.integers(2, 5), min_size=3, max_size=4), epsilons)
def test_instance_norm_agrees_with_torch(seed: int, batch: int, shape: list[int], epsilon: float) -> None:
    """Each sample's channel is standardized over its own pixels."""
    x, gamma, beta = normal(seed, batch, *shape), normal(seed, shape[0]), normal(seed + 1, shape[0])
    weights: dict[str, Any] = {"weight": torch.tensor(gamma), "bias": torch.tensor(beta)}
    ours = k.instance_norm(x, gamma, beta, np.float32(epsilon))
    close(ours, F.instance_norm(torch.tensor(x), **weights, eps=epsilon))


@given(seeds, st.lists(st.integers(1, 5), min_size=1, max_size=4), st.data(), epsilons)
def test_layer_norm_agrees_with_torch(
    seed: int, shape: list[int], data: st.DataObject, epsilon: float
) -> None:
    """Over any number of last axes, counted from either side and in any order."""
    count = data.draw(st.integers(1, len(shape)))
    axes = data.draw(st.permutations(range(len(shape) - count, len(shape))))
    given_axes = np.array(axes) - data.draw(st.sampled_from([0, len(shape)]))
    x, last = normal(seed, *shape) * 3, shape[-count:]
    gamma, beta = normal(seed + 1, *last), normal(seed + 2, *last)
    theirs = F.layer_norm(torch.tensor(x), last, torch.tensor(gamma), torch.tensor(beta), epsilon)
    close(k.layer_norm(x, given_axes, gamma, beta, np.float32(epsilon)), theirs)


def test_layer_norm_without_axes_normalizes_everything() -> None:
    """The documented default, which coremltools' value inference gets wrong."""
    x = normal(0, 2, 3, 4)
    close(k.layer_norm(x), F.layer_norm(torch.tensor(x), (2, 3, 4)))


@given(seeds, shapes, st.integers(1, 6), st.sampled_from([1e-4, 0.5]), st.sampled_from([0.75, 1.0]))
def test_local_response_norm_agrees_with_torch(
    seed: int, shape: list[int], size: int, alpha: float, beta: float
) -> None:
    """Odd and even windows over the channels, also wider than there are channels."""
    x = normal(seed, *shape) * 3
    theirs = F.local_response_norm(torch.tensor(x), size, alpha, beta, 2.0)
    close(k.local_response_norm(x, np.int32(size), np.float32(alpha), np.float32(beta), 2.0), theirs)


@given(seeds, st.lists(st.integers(1, 4), min_size=3, max_size=5), epsilons)
def test_l2_norm_spans_the_last_three_axes(seed: int, shape: list[int], epsilon: float) -> None:
    """Leading axes are batch."""
    x = normal(seed, *shape)
    flat = torch.tensor(x).reshape(*shape[:-3], -1)
    theirs = (flat / torch.sqrt(flat.square().sum(dim=-1, keepdim=True) + epsilon)).reshape(shape)
    close(k.l2_norm(x, np.float32(epsilon)), theirs)
