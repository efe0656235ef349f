"""The kernel of iOS18's scaled_dot_product_attention."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.validate.coreml_program.kernels.activation import softmax
from pocketrec.validate.coreml_program.kernels.linear import product

Array = npt.NDArray[Any]


def scaled_dot_product_attention(
    query: Array, key: Array, value: Array, attn_mask: Array | None = None, *, op: Any = None
) -> Array:
    """[B, *, L, EV]: `softmax(query · keyᵀ / √E + attn_mask) · value`.

    `query` is [B, *, L, E], `key` [B, *, S, E], `value` [B, *, S, EV]. A bool mask says which places
    take part, a float mask is added. A row in which no place takes part is NaN.
    """
    scores = product(query * np.float32(query.shape[-1] ** -0.5), key.swapaxes(-1, -2), op)
    if attn_mask is not None:
        if attn_mask.dtype == np.bool_:
            scores = np.where(attn_mask, scores, np.float32(-np.inf))
        else:
            scores = scores + attn_mask
    return product(softmax(scores), value, op)


KERNELS: dict[str, Callable[..., Any]] = {"scaled_dot_product_attention": scaled_dot_product_attention}
