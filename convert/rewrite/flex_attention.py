"""`flex_attention`, which PyTorch compiles before it runs, from products and a softmax."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


class FlexAttentionRule:
    """The whole table of scores, changed by the user's functions of score and place."""

    name = "flex_attention_to_products"
    reason = "no exporter follows PyTorch's compiler"
    functions = frozenset({"flex_attention"})

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """Output, log of the sum and largest score, as the operator gives them: the last two to base 2."""
        query, key, value, score_mod, block_mask, scale = args[:6]
        if query.shape[1] != key.shape[1]:
            groups = query.shape[1] // key.shape[1]
            key, value = (each.repeat_interleave(groups, 1) for each in (key, value))
        scores = query @ key.transpose(-2, -1) * scale
        places = _places(scores)
        scores = score_mod(scores, *places)
        seen = block_mask[-1](*places)
        scores = torch.where(seen, scores, -math.inf).to(torch.float32)
        largest = scores.amax(-1)
        blind = (largest == -math.inf).unsqueeze(-1)
        weights = torch.where(blind, 0.0, torch.where(blind, 0.0, scores).softmax(-1))
        total = torch.where(blind.squeeze(-1), -math.inf, torch.logsumexp(scores, -1))
        output = weights.to(query.dtype) @ value
        return output, total / math.log(2), largest / math.log(2)


def _places(scores: Tensor) -> list[Tensor]:
    """Row, head, query and key of every score, each along its own axis."""
    places = []
    for axis, size in enumerate(scores.shape):
        shape = [1] * scores.ndim
        shape[axis] = -1
        places.append(torch.arange(size).reshape(shape))
    return places
