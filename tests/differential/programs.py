"""Small modules drawn from the ops that recommenders use, with options off the default.

A program is a few chains of steps over the same inputs, dense `x` and ids; every chain is an output. It is
plain data, so that it can be written down and run again.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from hypothesis import strategies as st
from torch import Tensor, nn

ROWS, LENGTH, WIDTH, ITEMS = 3, 5, 8, 12
Options = Mapping[str, Any]
Step = tuple[str, Options]
Chain = tuple[Step, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a step may read beside the value that it changes."""

    x: Tensor
    ids: Tensor
    parts: nn.ModuleDict


@dataclass(frozen=True, slots=True, kw_only=True)
class Op:
    """A step: its options as a strategy each, and what it does to `[rows, length, width]`."""

    apply: Callable[..., Tensor]
    options: Mapping[str, Sequence[Any]]
    part: Callable[..., nn.Module] | None = None


def _plain(apply: Callable[..., Tensor], **options: Sequence[Any]) -> Op:
    """A function of the value alone."""
    return Op(apply=lambda x, _, /, **given: apply(x, **given), options=options)


def _pair(apply: Callable[..., Tensor], **options: Sequence[Any]) -> Op:
    """A function of the value and the dense input."""
    return Op(apply=lambda x, context, /, **given: apply(x, context.x, **given), options=options)


def _part(make: Callable[..., nn.Module], **options: Sequence[Any]) -> Op:
    """A layer with weights, made once from its options."""
    return Op(apply=lambda value, _, part, **__: part(value), options=options, part=make)


def _recurrent(kind: type[nn.Module]) -> Callable[..., nn.Module]:
    class Layer(nn.Module):
        def __init__(self, bidirectional: bool, bias: bool) -> None:
            super().__init__()
            width = WIDTH // 2 if bidirectional else WIDTH
            self.layer = kind(WIDTH, width, batch_first=True, bidirectional=bidirectional, bias=bias)

        def forward(self, value: Tensor) -> Tensor:
            result: Tensor = self.layer(value)[0]
            return result

    return Layer


class _Scaled(nn.Module):
    """A normalization over channels, of values whose second axis are the steps."""

    def __init__(self, make: Callable[..., nn.Module], **options: Any) -> None:
        super().__init__()
        self.norm = make(**options)

    def forward(self, value: Tensor) -> Tensor:
        result: Tensor = self.norm(value.transpose(1, 2)).transpose(1, 2)
        return result


def _attend(value: Tensor, context: Context, *, masked: str, scale: float | None) -> Tensor:
    seen = (context.ids != 0)[:, None].expand(-1, LENGTH, -1)
    masks: dict[str, dict[str, Any]] = {"causal": {"is_causal": True}, "padding": {"attn_mask": seen}}
    options = masks.get(masked, {})
    return F.scaled_dot_product_attention(value, context.x, value, scale=scale, **options)


def _fill(value: Tensor, context: Context, *, number: float, after: str) -> Tensor:
    filled = value.masked_fill((context.ids == 0)[..., None], number)
    return filled if after == "nothing" else getattr(torch, after)(filled, 1)


def _gather(value: Tensor, context: Context, *, dim: int) -> Tensor:
    index = (context.ids % LENGTH).long()[..., None].expand(-1, -1, WIDTH)
    return value.gather(1, index) if dim == 1 else value.gather(2, index)


def _scatter(value: Tensor, context: Context, *, reduce: str, include_self: bool) -> Tensor:
    index = (context.ids % LENGTH).long()[..., None].expand(-1, -1, WIDTH)
    return context.x.scatter_reduce(1, index, value, reduce, include_self=include_self)


def _bag(value: Tensor, context: Context, *, mode: str, padding_idx: int | None) -> Tensor:
    table: Any = context.parts["table"].weight
    bag = F.embedding_bag(context.ids.long(), table, mode=mode, padding_idx=padding_idx)
    return value + bag[:, None]


def _integers(value: Tensor, *, op: str, by: int) -> Tensor:
    whole = value.nan_to_num(0.0).clamp(-1e4, 1e4).round().long()
    done = {
        "//": lambda: whole // by,
        "%": lambda: whole % by,
        "fmod": lambda: torch.fmod(whole, by),
        "trunc": lambda: torch.div(whole, by, rounding_mode="trunc"),
        "clamp": lambda: whole.clamp(min=-abs(by)),
        "cumsum": lambda: whole.cumsum(1),
    }
    return done[op]().to(value.dtype)


def _top(value: Tensor, *, k: int, largest: bool, dim: int) -> Tensor:
    found = value.topk(k, dim, largest=largest).values
    return value + found.sum(dim, keepdim=True)


def _pool(value: Tensor, *, kind: str, counted: bool, **sizes: Any) -> Tensor:
    if kind == "max":
        pooled = F.max_pool1d(value, **sizes)
    else:
        pooled = F.avg_pool1d(value, count_include_pad=counted, **sizes)
    result: Tensor = value - pooled.sum(-1, keepdim=True)
    return result


def _reduce(value: Tensor, *, op: str, dim: int) -> Tensor:
    reduced: dict[str, Callable[[], Any]] = {
        "std": lambda: value.std(dim, keepdim=True),
        "std_biased": lambda: value.std(dim, correction=0, keepdim=True),
        "var_2": lambda: value.var(dim, correction=2, keepdim=True),
        "var_whole": lambda: value.var(),
        "logsumexp": lambda: value.logsumexp(dim, keepdim=True),
        "amax": lambda: value.amax(dim, keepdim=True),
        "prod": lambda: value.prod(dim, keepdim=True),
        "mean": lambda: value.mean((1, 2), keepdim=True),
        "norm_1": lambda: value.norm(1, dim, keepdim=True),
        "norm_3": lambda: value.norm(3, dim, keepdim=True),
        "norm_inf": lambda: value.norm(math.inf, dim, keepdim=True),
        "median": lambda: value.median(dim, keepdim=True).values,
        "any": lambda: (value > 0.5).any(dim, keepdim=True).to(value.dtype),
        "all": lambda: value.all(dim, keepdim=True).to(value.dtype),
        "count": lambda: value.count_nonzero(dim).unsqueeze(dim).to(value.dtype),
    }
    result: Tensor = value + reduced[op]()
    return result


def _chosen(value: Tensor, *, op: str, dim: int) -> Tensor:
    """What stands at a place, which is the same whichever of equal numbers is chosen."""
    whole = op.startswith("whole")
    flat = value.reshape(-1) if whole else value
    axis = 0 if whole else dim
    place = flat.argmax(axis, keepdim=True) if op.endswith("max") else flat.argmin(axis, keepdim=True)
    return value + flat.gather(axis, place)


def _bucket(value: Tensor, *, right: bool) -> Tensor:
    bounds = torch.tensor([-1.0, 0.0, 0.5, 2.0], dtype=value.dtype)
    return torch.bucketize(value, bounds, right=right).to(value.dtype)


def _convolution(**options: Any) -> nn.Module:
    sizes = {"in_channels": WIDTH, "out_channels": WIDTH, "kernel_size": 3, "padding": "same"}
    return _Scaled(nn.Conv1d, **sizes, **options)


_DIMS = (0, 1, 2, -1)
_INNER = (1, 2, -1)
OPS: dict[str, Op] = {
    **{
        name: _plain(getattr(torch, name))
        for name in (
            *(
                "exp",
                "expm1",
                "log",
                "log1p",
                "log2",
                "sqrt",
                "rsqrt",
                "reciprocal",
                "sigmoid",
                "tanh",
                "erf",
            ),
            *("abs", "sign", "floor", "ceil", "round", "trunc", "sin", "atan", "asinh", "square", "erfc"),
        )
    },
    **{name: _plain(getattr(F, name)) for name in ("relu6", "silu", "mish", "hardswish", "hardsigmoid")},
    **{name: _plain(getattr(F, name)) for name in ("selu", "logsigmoid", "softsign", "tanhshrink")},
    "gelu": _plain(F.gelu, approximate=("none", "tanh")),
    "elu": _plain(F.elu, alpha=(0.3, 1.0, 2.5)),
    "celu": _plain(F.celu, alpha=(0.3, 1.0, 2.5)),
    "leaky_relu": _plain(F.leaky_relu, negative_slope=(0.01, -0.2, 1.5)),
    "softplus": _plain(F.softplus, beta=(0.5, 1.0, 3.0), threshold=(3.0, 20.0)),
    "hardtanh": _plain(F.hardtanh, min_val=(-0.5, 0.0), max_val=(0.1, 6.0)),
    "threshold": _plain(F.threshold, threshold=(-0.2, 0.3), value=(-7.0, 0.0)),
    "softshrink": _plain(F.softshrink, lambd=(0.0, 0.4)),
    "clamp": _plain(torch.clamp, min=(None, -0.3), max=(0.2, 5.0)),
    "logit": _plain(torch.logit, eps=(None, 1e-3)),
    "power": _plain(torch.pow, exponent=(-2, -1, -0.5, 0, 0.5, 2, 3, 1.7)),
    "power_of": _plain(lambda value, base: torch.pow(base, value), base=(0.5, 2.0)),
    "nan_to_num": _plain(torch.nan_to_num, nan=(0.0, 2.0), posinf=(None, 9.0), neginf=(None, -1e4)),
    "remainder": _plain(torch.remainder, other=(0.7, -2.0)),
    "fmod": _plain(torch.fmod, other=(0.7, -2.0)),
    "softmax": _plain(torch.softmax, dim=_DIMS),
    "log_softmax": _plain(torch.log_softmax, dim=_DIMS),
    "logcumsumexp": _plain(torch.logcumsumexp, dim=_INNER),
    "cumsum": _plain(torch.cumsum, dim=_INNER),
    "cumprod": _plain(torch.cumprod, dim=_INNER),
    "cummax": _plain(lambda value, dim: value.cummax(dim).values, dim=_INNER),
    "sort": _plain(lambda value, **o: value.sort(**o).values, dim=_INNER, descending=(False, True)),
    "flip": _plain(lambda value, dim: value.flip(dim), dim=_INNER),
    "roll": _plain(torch.roll, shifts=(1, -2), dims=_INNER),
    "normalize": _plain(F.normalize, p=(1.0, 2.0), dim=_INNER, eps=(1e-12, 1e-3)),
    "triangle": _plain(lambda value, k: value.tril(k), k=(-1, 0, 1)),
    "integers": _plain(_integers, op=("//", "%", "fmod", "trunc", "clamp", "cumsum"), by=(3, -7, 1000)),
    "topk": _plain(_top, k=(1, 3), largest=(True, False), dim=_INNER),
    "pool": _plain(
        _pool,
        kind=("max", "avg"),
        kernel_size=(2, 3),
        stride=(1, 2, 3),
        padding=(0, 1),
        ceil_mode=(False, True),
        counted=(False, True),
    ),
    "reduce": _plain(
        _reduce,
        op=(
            *("std", "std_biased", "var_2", "var_whole", "logsumexp", "amax", "prod", "mean", "norm_1"),
            *("norm_3", "norm_inf", "median", "any", "all", "count"),
        ),
        dim=_INNER,
    ),
    "chosen": _plain(_chosen, op=("max", "min", "whole_max", "whole_min"), dim=_INNER),
    "bucketize": _plain(
        lambda value, right: torch.bucketize(value, torch.tensor([-1.0, 0.0, 0.5, 2.0]), right=right).to(
            value.dtype
        ),
        right=(False, True),
    ),
    "add": _pair(torch.add, alpha=(1, -0.5)),
    "times": _pair(torch.mul),
    "divide": _pair(torch.div, rounding_mode=(None, "floor", "trunc")),
    "atan2": _pair(torch.atan2),
    "hypot": _pair(torch.hypot),
    "maximum": _pair(torch.maximum),
    "logaddexp": _pair(torch.logaddexp),
    "xlogy": _pair(lambda value, x: torch.xlogy(value, x.abs())),
    "lerp": _pair(torch.lerp, weight=(0.3, -1.0)),
    "where": _pair(lambda value, x, other: torch.where(x > 0, value, other), other=(0.0, -1e9, -math.inf)),
    "cosine": _pair(
        lambda value, x, **o: value * F.cosine_similarity(value, x, **o).unsqueeze(o["dim"]),
        dim=(1, 2),
        eps=(1e-8, 0.1),
    ),
    "attention": Op(apply=_attend, options={"masked": ("no", "causal", "padding"), "scale": (None, 0.3)}),
    "masked": Op(
        apply=_fill,
        options={"number": (0.0, -1e9, -math.inf), "after": ("nothing", "softmax", "log_softmax")},
    ),
    "gather": Op(apply=_gather, options={"dim": (1, 2)}),
    "scatter": Op(
        apply=_scatter,
        options={"reduce": ("sum", "mean", "amax", "amin", "prod"), "include_self": (True, False)},
    ),
    "bag": Op(apply=_bag, options={"mode": ("sum", "mean", "max"), "padding_idx": (None, 0, 3)}),
    "embedding": Op(apply=lambda value, context: value + context.parts["table"](context.ids), options={}),
    "linear": _part(lambda bias: nn.Linear(WIDTH, WIDTH, bias=bias), bias=(True, False)),
    "layer_norm": _part(
        lambda **o: nn.LayerNorm(WIDTH, **o), eps=(1e-5, 1e-12, 0.1), elementwise_affine=(True, False)
    ),
    "rms_norm": _part(lambda eps: nn.RMSNorm(WIDTH, eps=eps), eps=(None, 1e-3)),
    "group_norm": _part(
        lambda **o: _Scaled(nn.GroupNorm, num_channels=WIDTH, **o), num_groups=(2, 4), eps=(1e-5, 1e-2)
    ),
    "batch_norm": _part(
        lambda **o: _Scaled(nn.BatchNorm1d, num_features=WIDTH, **o), eps=(1e-5, 0.1), affine=(True, False)
    ),
    "convolution": _part(
        lambda **o: _Scaled(
            nn.Conv1d, in_channels=WIDTH, out_channels=WIDTH, kernel_size=3, padding="same", **o
        ),
        dilation=(1, 2),
        groups=(1, 4),
    ),
    "prelu": _part(lambda init: nn.PReLU(init=init), init=(0.25, -0.5)),
    "gru": _part(_recurrent(nn.GRU), bidirectional=(False, True), bias=(True, False)),
    "lstm": _part(_recurrent(nn.LSTM), bidirectional=(False, True), bias=(True, False)),
}


def steps(names: Sequence[str] | None = None) -> st.SearchStrategy[Step]:
    """One step, of the ops named or of all."""

    def with_options(name: str) -> st.SearchStrategy[Step]:
        drawn = {key: st.sampled_from(values) for key, values in OPS[name].options.items()}
        return st.tuples(st.just(name), st.fixed_dictionaries(drawn))

    return st.sampled_from(sorted(names or OPS)).flatmap(with_options)


def programs(names: Sequence[str] | None = None, *, chains: int = 4) -> st.SearchStrategy[tuple[Chain, ...]]:
    """Several chains of one to four steps."""
    chain = st.lists(steps(names), min_size=1, max_size=4).map(tuple)
    return st.lists(chain, min_size=chains, max_size=chains).map(tuple)


class Drawn(nn.Module):
    """A program as a module: dense `x` and ids to an output per chain."""

    def __init__(self, program: Sequence[Chain]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.program = program
        self.parts = nn.ModuleDict({"table": nn.Embedding(ITEMS, WIDTH, padding_idx=0)})
        for chain, each in enumerate(program):
            for place, (name, options) in enumerate(each):
                make = OPS[name].part
                if make is not None:
                    self.parts[f"{chain}_{place}"] = make(**options)

    def forward(self, x: Tensor, ids: Tensor) -> tuple[Tensor, ...]:
        context = Context(x=x, ids=ids, parts=self.parts)
        return tuple(self._run(number, x, context) for number in range(len(self.program)))

    def _run(self, number: int, value: Tensor, context: Context) -> Tensor:
        for place, (name, options) in enumerate(self.program[number]):
            op = OPS[name]
            extra = {} if op.part is None else {"part": self.parts[f"{number}_{place}"]}
            value = op.apply(value, context, **extra, **options)
        return value
