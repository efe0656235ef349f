"""Attention modules as they answer in eval mode, where PyTorch takes paths of its own that no exporter sees.

There nn.TransformerEncoder runs rows without their padding and fills it with zeros, its layers read a
mask of numbers as one of truths, and a place whose every key is hidden is not a number. Torch takes
these paths only where nobody watches: so the modules are replaced by ones that say what comes out.
"""

from __future__ import annotations

import copy
import functools
from typing import Any

import torch
from torch import Tensor, nn


class _Encoder:
    """nn.TransformerEncoder with padding that is filled with zeros, where it leaves padding out."""

    def forward(
        self,
        src: Tensor,
        mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool | None = None,
    ) -> Tensor:
        layer: Any = self
        padding = _truths(src_key_padding_mask)
        if not layer.use_nested_tensor or src.dim() != 3 or padding is None or mask is not None:
            kept: Tensor = super().forward(src, mask, src_key_padding_mask, is_causal)  # type: ignore[misc]
            return kept
        beyond = torch.arange(src.shape[1]) >= padding.logical_not().sum(1, keepdim=True)
        checked = getattr(self, "mask_check", True)
        hidden = padding if checked else beyond
        output = src
        for each in layer.layers:
            output = each(output, src_key_padding_mask=hidden)
        # Rows are cut only if the padding is at the end of every one of them.
        zeros = torch.logical_and(beyond, (beyond == padding).all()) if checked else beyond
        output = output.masked_fill(zeros.unsqueeze(-1), 0.0)
        return output if layer.norm is None else layer.norm(output)


class _Layer:
    """nn.TransformerEncoderLayer with masks of truths; a place that sees no key is not a number."""

    def forward(
        self,
        src: Tensor,
        src_mask: Tensor | None = None,
        src_key_padding_mask: Tensor | None = None,
        is_causal: bool = False,
    ) -> Tensor:
        forward: Any = super().forward  # type: ignore[misc]
        if src.dim() != 3 or not _layer_is_fast(self):
            kept: Tensor = forward(src, src_mask, src_key_padding_mask, is_causal)
            return kept
        mask, padding = _truths(src_mask), _truths(src_key_padding_mask)
        return _unseeing(forward(src, mask, padding), mask, padding)


class _Attention:
    """nn.MultiheadAttention of a sequence with itself; a place that sees no key is not a number."""

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> tuple[Tensor, Tensor | None]:
        forward: Any = super().forward  # type: ignore[misc]
        output, weights = forward(
            query, key, value, key_padding_mask, need_weights, attn_mask, *args, **kwargs
        )
        masks = [each for each in (attn_mask, key_padding_mask) if each is not None]
        same = query is key and key is value and query.dim() == 3
        if not need_weights and same and all(each.dtype == torch.bool for each in masks):
            output = _unseeing(output, attn_mask, key_padding_mask)
        return output, weights


def _truths(mask: Tensor | None) -> Tensor | None:
    return mask if mask is None or mask.dtype == torch.bool else mask != 0


def _unseeing(output: Tensor, mask: Tensor | None, padding: Tensor | None) -> Tensor:
    """`[rows, length, width]` without a number where the masks hide every key from a place."""
    if mask is None and padding is None:
        return output
    rows, length = output.shape[:2]
    hidden = torch.zeros(1, dtype=torch.bool)
    if mask is not None:
        hidden = mask.reshape(rows, -1, length, length) if mask.dim() == 3 else mask
    if padding is not None:
        hidden = torch.logical_or(hidden, padding.unsqueeze(1).unsqueeze(1))
    nothing = hidden.all(-1, keepdim=True)
    if nothing.dim() == 4:
        nothing = nothing.any(1)
    return output.masked_fill(nothing, torch.nan)


def _layer_is_fast(layer: Any) -> bool:
    hooks = ("_forward_hooks", "_forward_pre_hooks")
    return (
        bool(layer.activation_relu_or_gelu)
        and layer.norm1.eps == layer.norm2.eps
        and _attention_is_fast(layer.self_attn)
        and layer.self_attn.in_proj_bias is not None
        and not any(getattr(each, name) for each in layer.modules() for name in hooks)
    )


def _attention_is_fast(module: nn.MultiheadAttention) -> bool:
    return (
        module.batch_first
        and module._qkv_same_embed_dim
        and module.in_proj_bias is not None
        and module.num_heads % 2 == 0
        and module.bias_k is None
        and module.bias_v is None
        and not module.add_zero_attn
    )


_WATCHED: tuple[tuple[type[nn.Module], type], ...] = (
    (nn.TransformerEncoder, _Encoder),
    (nn.TransformerEncoderLayer, _Layer),
    (nn.MultiheadAttention, _Attention),
)


class FastPathRule:
    """Matches PyTorch's own attention modules, and those that only inherit their forward."""

    name = "attention_as_in_eval_mode"
    reason = "PyTorch's path for eval mode treats padding and masks in its own way, unseen by exporters"

    def matches(self, module: nn.Module) -> bool:
        """True where the path may be taken: heads in pairs, batch first, equal widths."""
        if _kind(module) is None:
            return False
        if isinstance(module, nn.MultiheadAttention):
            return _attention_is_fast(module)
        return _layer_is_fast(module) if isinstance(module, nn.TransformerEncoderLayer) else True

    def replace(self, module: nn.Module) -> nn.Module:
        """The same module, parameters and their names included."""
        kind: Any = _kind(module)
        assert kind is not None
        replacement = copy.copy(module)
        own: Any = type(module)
        replacement.__class__ = _explicit(kind, own)
        return replacement


def _kind(module: nn.Module) -> type | None:
    forward = type(module).forward
    return next((kind for plain, kind in _WATCHED if forward is plain.forward), None)


@functools.cache
def _explicit(kind: Any, own: Any) -> type:
    return type(own.__name__, (kind, own), {})
