"""Lowerings of what looks along an axis: shares, variances, norms, places and truths; see `numbers`.

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from coremltools.converters.mil.frontend.torch import ops as torch_ops
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in the field
from coremltools.converters.mil.mil import Var, types

from pocketrec.convert.coreml.arguments import arguments, as_float, known, number
from pocketrec.convert.coreml.numbers import log, rsqrt
from pocketrec.errors import ConversionError

Lowering = Callable[[Any, Any], None]


def log_softmax(x: Var, axis: int) -> Var:
    """The logarithm of the shares, without a share that underflows."""
    below = mb.sub(x=x, y=mb.reduce_max(x=x, axes=[axis], keep_dims=True))
    total = mb.reduce_sum(x=mb.exp(x=below), axes=[axis], keep_dims=True)
    return mb.sub(x=below, y=log(total))


def _log_softmax(context: Any, node: Any) -> None:
    x, dim = arguments(context, node, self=None, dim=-1)
    context.add(log_softmax(as_float(x), int(known(dim))), torch_name=node.name)


def _attention(context: Any, node: Any) -> None:
    """softmax(scale · q kᵀ + mask) v; of a truth mask coremltools makes -3e4, which a score may outweigh."""
    names = {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": None, "enable_gqa": False}
    q, k, v, mask, _, causal, scale, grouped = arguments(
        context, node, query=None, key=None, value=None, **names
    )
    if known(grouped):
        raise ConversionError("Core ML has no attention with enable_gqa=True")
    factor = q.shape[-1] ** -0.5 if known(scale) is None else float(known(scale))
    scores = mb.matmul(x=mb.mul(x=q, y=number(factor, q)), y=k, transpose_y=True)
    if known(causal):
        mask = _causal(scores)
    if mask is None:
        context.add(mb.matmul(x=mb.softmax(x=scores, axis=-1), y=v), torch_name=node.name)
        return
    nothing = number(-math.inf, scores)
    truth = types.is_bool(mask.dtype)
    masked = mb.select(cond=mask, a=scores, b=nothing) if truth else mb.add(x=scores, y=mask)
    empty = mb.equal(x=mb.reduce_max(x=masked, axes=[-1], keep_dims=True), y=nothing)
    shares = mb.select(cond=empty, a=number(0, scores), b=mb.softmax(x=masked, axis=-1))
    context.add(mb.matmul(x=shares, y=v), torch_name=node.name)


def _causal(scores: Var) -> Var:
    """True where a key is not after its query."""
    shape = mb.shape(x=scores)
    size = mb.slice_by_index(x=shape, begin=[scores.rank - 2], end=[scores.rank])
    lower = mb.band_part(x=mb.fill(shape=size, value=1.0), lower=-1, upper=0)
    return mb.greater(x=lower, y=np.float32(0))


def _spread(root: bool) -> Lowering:
    """A variance, or its root; what is left out is Bessel's correction of 1."""

    def lower(context: Any, node: Any) -> None:
        x, axes, correction, keep = _spread_arguments(context, node)
        variance: Any = torch_ops._var  # its annotations say less than it takes
        found = variance(x, axes=axes, keep_dims=keep, correction=correction or None)
        context.add(mb.sqrt(x=found) if root else found, torch_name=node.name)

    return lower


def _spread_arguments(context: Any, node: Any) -> tuple[Var, list[int] | None, float, bool]:
    """The tensor, axes, correction and whether axes stay, of any overload of either front end."""
    placed = [known(each) for each in torch_ops._get_inputs(context, node)[1:]]
    by_flag = len(placed) == 1 and isinstance(placed[0], bool | np.bool_)  # x.var(unbiased)
    if by_flag:
        dim, correction, keep = None, placed[0], False
    else:
        named = arguments(context, node, self=None, dim=None, correction=None, keepdim=False)
        dim, correction, keep = (known(each) for each in named[1:])
        if correction is None:
            correction = known(arguments(context, node, self=None, dim=None, unbiased=None)[2])
    axes = None if dim is None or not np.size(dim) else [int(each) for each in np.atleast_1d(dim)]
    x = as_float(torch_ops._get_inputs(context, node)[0])
    return x, axes, 1.0 if correction is None else float(correction), bool(keep)


def _rms_norm(context: Any, node: Any) -> None:
    """With the epsilon as it is; coremltools' grows with the square of the largest number."""
    x, shape, weight, eps = arguments(context, node, self=None, normalized_shape=None, weight=None, eps=None)
    axes = list(range(-len(known(shape)), 0))
    least = float(np.finfo(np.float32).eps) if eps is None else float(known(eps))
    mean = mb.reduce_mean(x=mb.mul(x=x, y=x), axes=axes, keep_dims=True)
    normal = mb.mul(x=x, y=rsqrt(mb.add(x=mean, y=number(least, x))))
    context.add(normal if weight is None else mb.mul(x=normal, y=weight), torch_name=node.name)


def _cosine_similarity(context: Any, node: Any) -> None:
    """Each norm at least epsilon, as in PyTorch, without products of four numbers, which leave float32."""
    x, y, dim, eps = arguments(context, node, x1=None, x2=None, dim=1, eps=1e-8)
    axes, least = [int(known(dim))], number(known(eps), x)
    norms = [mb.maximum(x=mb.reduce_l2_norm(x=each, axes=axes, keep_dims=True), y=least) for each in (x, y)]
    units = [mb.real_div(x=each, y=norm) for each, norm in zip((x, y), norms, strict=True)]
    context.add(mb.reduce_sum(x=mb.mul(x=units[0], y=units[1]), axes=axes), torch_name=node.name)


def _place(find: Callable[..., Var]) -> Lowering:
    """The place of an extreme, of the whole tensor too, where coremltools takes the last axis."""

    def lower(context: Any, node: Any) -> None:
        x, dim, keep = arguments(context, node, self=None, dim=None, keepdim=False)
        if types.is_bool(x.dtype):
            x = mb.cast(x=x, dtype="int32")
        axis, keep = known(dim), bool(known(keep))
        if axis is not None:
            context.add(find(x=x, axis=int(axis), keep_dims=keep, name=node.name))
            return
        place = find(x=mb.reshape(x=x, shape=[-1]), axis=0, keep_dims=False)
        context.add(mb.reshape(x=place, shape=[1] * x.rank) if keep else place, torch_name=node.name)

    return lower


def _truth(reduce: Callable[..., Var]) -> Lowering:
    """Whether all or any are true; coremltools cuts 0.5 to the integer 0 first."""

    def lower(context: Any, node: Any) -> None:
        x, dim, keep = arguments(context, node, self=None, dim=None, keepdim=False)
        true = x if types.is_bool(x.dtype) else mb.cast(x=x, dtype="bool")
        axes = None if known(dim) is None else [int(each) for each in np.atleast_1d(known(dim))]
        found = reduce(x=mb.cast(x=true, dtype="int32"), axes=axes, keep_dims=bool(known(keep)))
        context.add(mb.cast(x=found, dtype="bool", name=node.name))

    return lower


REDUCTION_LOWERINGS: dict[str, Lowering] = {
    **dict.fromkeys(("log_softmax", "_log_softmax"), _log_softmax),
    "scaled_dot_product_attention": _attention,
    **dict.fromkeys(("var", "var.dim", "var.correction"), _spread(root=False)),
    **dict.fromkeys(("std", "std.dim", "std.correction"), _spread(root=True)),
    "rms_norm": _rms_norm,
    "cosine_similarity": _cosine_similarity,
    "argmax": _place(mb.reduce_argmax),
    "argmin": _place(mb.reduce_argmin),
    **dict.fromkeys(("all", "all.dim", "all.dims"), _truth(mb.reduce_min)),
    **dict.fromkeys(("any", "any.dim", "any.dims"), _truth(mb.reduce_max)),
}
