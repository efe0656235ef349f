"""Places chosen by a mask, computed on one by one and reduced to one number, as all places and their mask.

`loss(f(x[mask]), y)` has shapes that depend on values; its result has not. Exact where every step in
between treats each place by itself: the proof on probes shows it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_ELEMENTWISE = frozenset(
    [
        "mul",
        "__mul__",
        "__rmul__",
        "add",
        "__add__",
        "__radd__",
        "sub",
        "__sub__",
        "__rsub__",
        "rsub",
        "div",
        "__truediv__",
        "neg",
        "abs",
        "pow",
        "square",
        "sqrt",
        "exp",
        "log",
        "sigmoid",
        "logsigmoid",
        "tanh",
        "relu",
        "softplus",
        "clamp",
        "clip",
        "float",
        "ones_like",
        "zeros_like",
    ]
)
_LOSSES = frozenset(
    [
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "mse_loss",
        "l1_loss",
        "smooth_l1_loss",
        "huber_loss",
    ]
)
_REDUCTIONS = frozenset({"sum", "mean"})
_SHAPE = Tensor.shape.__get__  # type: ignore[attr-defined]
_CHOSEN = "_pocketrec_chosen"


@dataclass(slots=True)
class _Chosen:
    """Which of all places are chosen; `counted` where the module asked how many, and so minds if none."""

    mask: Tensor
    counted: bool = False


class ChosenPlacesRule:
    """Choosing by a mask of two axes or more: all places, of which a sum, mean or loss takes the chosen."""

    name = "chosen_places_to_masked_reduction"
    reason = "the number of places that a mask chooses depends on values"
    functions = frozenset({"__getitem__"}) | _ELEMENTWISE | _LOSSES | _REDUCTIONS

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """All places, marked; or what the chosen ones are reduced to."""
        name = function.__name__
        if name == "__getitem__":
            return _choose(*args)
        chosen = _of(args, kwargs)
        if chosen is None:
            return NotImplemented
        if name in _LOSSES:
            each = function(*args, **{**kwargs, "reduction": "none"})
            reduction = kwargs.get("reduction", "mean")
            return _marked(each, chosen) if reduction == "none" else _reduced(each, chosen, reduction)
        if name in _REDUCTIONS and len(args) == 1 and not kwargs:
            return _reduced(args[0], chosen, name)
        if name in _REDUCTIONS and not _keeps_places(args, kwargs):
            return NotImplemented
        return _marked(function(*args, **kwargs), chosen)


class CountedPlacesRule:
    """A question for how many places are chosen, such as whether there is one: all of them."""

    name = "chosen_places_counted"
    reason = "how many places a mask chooses depends on values; without any their reduction is taken for 0"
    functions = frozenset({"size", "__len__", "numel", "__get__"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The number of all places, and the choice knows that it was asked for."""
        chosen = _of(args, kwargs)
        if chosen is None or (function.__name__ == "__get__" and function != _SHAPE):
            return NotImplemented
        chosen.counted = True
        return function(*args, **kwargs)


def _choose(tensor: Any, mask: Any) -> Any:
    if not isinstance(tensor, Tensor) or not isinstance(mask, Tensor) or mask.dtype != torch.bool:
        return NotImplemented
    if not 2 <= mask.ndim <= tensor.ndim:
        return NotImplemented
    chosen = getattr(mask, _CHOSEN, None)
    if chosen is None:
        chosen = _Chosen(mask.reshape(-1))
        setattr(mask, _CHOSEN, chosen)
    return _marked(tensor.flatten(0, mask.ndim - 1), chosen)


def _of(args: Sequence[Any], kwargs: Mapping[str, Any]) -> _Chosen | None:
    """The one choice that all marked arguments are of; None where there is none or there are several."""
    found = [getattr(each, _CHOSEN, None) for each in (*args, *kwargs.values()) if isinstance(each, Tensor)]
    marks = [each for each in found if isinstance(each, _Chosen)]
    return marks[0] if marks and all(each is marks[0] for each in marks) else None


def _marked(result: Any, chosen: _Chosen) -> Any:
    setattr(result, _CHOSEN, chosen)
    return result


def _keeps_places(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    """True for a reduction of one axis that is not the first."""
    dim = kwargs.get("dim", args[1] if len(args) > 1 else None)
    return isinstance(dim, int) and bool(dim % args[0].ndim)


def _reduced(each: Tensor, chosen: _Chosen, reduction: str) -> Tensor:
    """The sum or mean over the chosen places; 0 for none of them, where the module asks how many."""
    kept = chosen.mask.reshape([-1] + [1] * (each.ndim - 1))
    total = torch.where(kept, each, torch.zeros((), dtype=each.dtype)).sum()
    if reduction == "sum":
        return total
    count = chosen.mask.sum() * math.prod(each.shape[1:])
    return total / (count.clamp(min=1) if chosen.counted else count)
