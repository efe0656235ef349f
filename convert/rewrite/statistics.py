"""Order statistics, variances and distances that a target lacks, from sorts, sums and comparisons."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from pocketrec.convert.rewrite.ops import OpRule

aten = torch.ops.aten
_MOST_RANKED = 1 << 10  # a rank compares every element with every other


def cdist(x: Tensor, y: Tensor, p: float = 2, compute_mode: int | None = None) -> Any:
    """What torch.cdist gives: distances of all rows of `x` to all of `y`.

    PyTorch takes the Euclidean distance of many rows from a product; so does this, with its rounding.
    """
    sizes: list[Any] = [x.shape[-2], y.shape[-2]]
    if p == 2 and compute_mode != 2 and any(isinstance(each, int) and each > 25 for each in sizes):
        squares = x.square().sum(-1, keepdim=True) + y.square().sum(-1).unsqueeze(-2)
        return (squares - 2 * (x @ y.mT)).clamp(min=0).sqrt()
    return torch.linalg.vector_norm(x.unsqueeze(-2) - y.unsqueeze(-3), ord=p, dim=-1)


def dist(x: Tensor, y: Tensor, p: float = 2) -> Any:
    """What torch.dist gives."""
    return torch.linalg.vector_norm(x - y, ord=p)


def var_mean(
    x: Tensor,
    dim: Sequence[int] | None = None,
    unbiased: bool = True,
    keepdim: bool = False,
    *,
    correction: float | None = None,
) -> tuple[Tensor, Tensor]:
    """What torch.var_mean gives."""
    axes = list(range(x.ndim)) if dim is None else list(dim)
    divided = int(unbiased) if correction is None else correction
    return torch.var(x, axes, correction=divided, keepdim=keepdim), x.mean(axes, keepdim=keepdim)


def std_mean(x: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, Tensor]:
    """What torch.std_mean gives, called as `var_mean`."""
    variance, mean = var_mean(x, *args, **kwargs)
    return variance.sqrt(), mean


def _picked(sorted_pair: Sequence[Tensor], place: Tensor | int, dim: int, keepdim: bool) -> tuple[Any, ...]:
    if isinstance(place, int):
        chosen = [each.narrow(dim, place, 1) for each in sorted_pair]
    else:
        chosen = [each.gather(dim, place) for each in sorted_pair]
    return tuple(each if keepdim else each.squeeze(dim) for each in chosen)


def kthvalue(x: Tensor, k: int, dim: int = -1, keepdim: bool = False) -> Any:
    """What torch.kthvalue gives; which of equal values it names is left to the sort."""
    return _picked(torch.sort(x, dim), k - 1, dim, keepdim) if x.ndim else NotImplemented


def median_dim(x: Tensor, dim: int, keepdim: bool = False) -> Any:
    """What torch.median gives for numbers: the lower of two middle values."""
    return kthvalue(x, (x.shape[dim] + 1) // 2, dim, keepdim) if x.ndim else NotImplemented


def median(x: Tensor) -> Tensor:
    """What torch.median of all elements gives."""
    values: Tensor = median_dim(x.reshape(-1), 0)[0]
    return values


def nanmedian_dim(x: Tensor, dim: int, keepdim: bool = False) -> Any:
    """What torch.nanmedian gives: a sort with every NaN after the numbers."""
    if not x.ndim or not x.is_floating_point():
        return NotImplemented
    numbers = ~torch.isnan(x)
    ordered = torch.sort(torch.where(numbers, x, torch.full_like(x, _LARGEST)), dim)
    count = numbers.to(torch.int64).sum(dim, keepdim=True)
    values, indices = _picked(ordered, ((count - 1) // 2).clamp(min=0), dim, True)
    values = torch.where(count > 0, values, torch.full_like(values, float("nan")))
    return (values, indices) if keepdim else (values.squeeze(dim), indices.squeeze(dim))


def nanmedian(x: Tensor) -> Any:
    """What torch.nanmedian of all elements gives."""
    found = nanmedian_dim(x.reshape(-1), 0)
    return found if found is NotImplemented else found[0]


def mode(x: Tensor, dim: int = -1, keepdim: bool = False) -> Any:
    """What torch.mode gives: the smallest of the most frequent values, and the last place of it."""
    if x.ndim == 0:
        return NotImplemented
    last = x.movedim(dim, -1)
    count = (last.unsqueeze(-1) == last.unsqueeze(-2)).to(torch.int64).sum(-1)
    frequent = count == count.amax(-1, keepdim=True)
    largest = _LARGEST if x.is_floating_point() else torch.iinfo(torch.int32).max
    values = torch.where(frequent, last, torch.full_like(last, largest)).amin(-1, keepdim=True)
    places = torch.where(last == values, torch.arange(last.shape[-1]), 0).amax(-1, keepdim=True)
    found = tuple(each.movedim(-1, dim) for each in (values, places))
    return found if keepdim else tuple(each.squeeze(dim) for each in found)


def stable_sort(x: Tensor, *, stable: bool | None, dim: int = -1, descending: bool = False) -> Any:
    """What torch.sort(stable=True) gives: a sort of ranks, no two of which are equal."""
    if not stable or x.ndim == 0:
        return aten.sort.default(x, dim, descending)
    size = x.shape[dim]
    if not isinstance(size, int) or size > _MOST_RANKED:
        return NotImplemented
    last = x.movedim(dim, -1)
    one, other = last.unsqueeze(-1), last.unsqueeze(-2)
    places = torch.arange(size)
    earlier = (one == other) & (places < places.unsqueeze(-1))
    before = earlier | (other > one if descending else other < one)
    ranks = before.to(torch.int32).sum(-1, dtype=torch.int32)
    indices = aten.sort.default(ranks, -1, False)[1]
    return last.gather(-1, indices).movedim(-1, dim), indices.movedim(-1, dim)


def histc(x: Tensor, bins: int = 100, min: float = 0, max: float = 0) -> Any:  # noqa: A002 - their names in PyTorch
    """What torch.histc gives for given ends: how many values are in each of equal bins."""
    if min >= max:
        return NotImplemented
    flat = x.reshape(-1)
    places = ((flat - min) * (bins / (max - min))).floor().clamp(max=bins - 1)
    inside = (flat >= min) & (flat <= max)
    hits = (places.unsqueeze(-1) == torch.arange(bins).to(x.dtype)) & inside.unsqueeze(-1)
    return hits.to(x.dtype).sum(0)


def cumprod(x: Tensor, dim: int, *, dtype: torch.dtype | None = None) -> Any:
    """What torch.cumprod gives: the product of what is not after a place."""
    if x.ndim == 0:
        return NotImplemented
    last = (x if dtype is None else x.to(dtype)).movedim(dim, -1)
    places = torch.arange(last.shape[-1])
    before = places <= places.unsqueeze(-1)
    return torch.where(before, last.unsqueeze(-2), 1).to(last.dtype).prod(-1).movedim(-1, dim)


def group_norm(
    input: Tensor,  # noqa: A002
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-5,
    cudnn_enabled: bool = True,
) -> Any:
    """What torch.nn.functional.group_norm gives for a free number of rows, as a layer norm of each group."""
    rows, channels, *rest = input.shape
    if isinstance(rows, int) or not all(isinstance(each, int) for each in (channels, *rest)):
        return NotImplemented
    width = channels // num_groups * math.prod(rest)
    groups = input.reshape(rows, num_groups, width)
    normed = torch.nn.functional.layer_norm(groups, [width], eps=eps).reshape(input.shape)
    shape = [1, channels] + [1] * len(rest)
    scaled = normed if weight is None else normed * weight.reshape(shape)
    return scaled if bias is None else scaled + bias.reshape(shape)


# Larger than every number of a model, and finite in the comparison of a target's float16 too.
_LARGEST = torch.finfo(torch.float32).max


def _rule(name: str, op: Any, replace: Callable[..., Any], reason: str) -> OpRule:
    return OpRule(name=name, op=op, replace=replace, reason=reason)


_SORT = "Core ML has a sort, and no order statistics"
RULES = (
    _rule("cdist_to_norm", aten.cdist.default, cdist, "no target has cdist"),
    _rule("dist_to_norm", aten.dist.default, dist, "Core ML has no dist"),
    *(
        _rule(f"{name}_to_{name[:3]}", getattr(packet, overload), replace, "Core ML has no two at once")
        for name, packet, replace in (
            ("var_mean", aten.var_mean, var_mean),
            ("std_mean", aten.std_mean, std_mean),
        )
        for overload in ("dim", "correction")
    ),
    _rule("kthvalue_to_sort", aten.kthvalue.default, kthvalue, _SORT),
    _rule("median_to_sort", aten.median.dim, median_dim, _SORT),
    _rule("median_to_sort", aten.median.default, median, _SORT),
    _rule("nanmedian_to_sort", aten.nanmedian.dim, nanmedian_dim, _SORT),
    _rule("nanmedian_to_sort", aten.nanmedian.default, nanmedian, _SORT),
    _rule("mode_to_counts", aten.mode.default, mode, "no target has mode"),
    _rule("stable_sort_to_ranks", aten.sort.stable, stable_sort, "no target's sort is stable by definition"),
    _rule("histc_to_counts", aten.histc.default, histc, "no target has histc"),
    _rule(
        "group_norm_to_layer_norm",
        aten.group_norm.default,
        group_norm,
        "coremltools reads the rows as a number",
    ),
    _rule("cumprod_to_masked_product", aten.cumprod.default, cumprod, "ONNX has no cumulative product"),
)
