"""What looks along an axis gives PyTorch's numbers on Core ML, however far the scores lie apart."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

ROWS = torch.randn(3, 4, 5, generator=torch.Generator().manual_seed(7))
SPIKES = ROWS * 1e-3
SPIKES[..., 2] = 250.0
INPUTS = {
    "zeros": torch.zeros(3, 4, 5),
    "small": ROWS * 1e-7,
    "example": ROWS,
    "large": ROWS * 300,
    "huge": ROWS * 1e12,
    "spikes": SPIKES,
    "whole": (ROWS * 2).round(),
}
# Places of 1e12 above others: a truth mask must mask those too.
_SEEN = torch.tensor([[True, False, True, True], [True, True, False, False], [False] * 4, [True] * 4])


def _attend(x: Tensor, **options: Any) -> Tensor:
    return F.scaled_dot_product_attention(x, x.flip(1), x, **options)


FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "log_softmax": lambda x: x.log_softmax(-1),
    "log_softmax_first": lambda x: x.log_softmax(0),
    "log_softmax_masked": lambda x: x.masked_fill(x < 0, -math.inf).log_softmax(1),
    "logsumexp": lambda x: x.logsumexp((0, 2)),
    "var": lambda x: x.var(-1),
    "var_biased": lambda x: x.var(1, correction=0, keepdim=True),
    "var_corrected": lambda x: x.var((1, 2), correction=3),
    "var_whole": lambda x: x.var().reshape(1),
    "std": lambda x: x.std(-1, unbiased=False),
    "std_whole": lambda x: x.std(correction=2).reshape(1),
    "rms_norm": lambda x: F.rms_norm(x, (5,), eps=1e-3),
    "rms_norm_default": lambda x: F.rms_norm(x, (4, 5)),
    "cosine": lambda x: F.cosine_similarity(x, x.flip(0), -1),
    "cosine_bounded": lambda x: F.cosine_similarity(x, x.flip(0), 1, eps=0.5),
    "attention": _attend,
    "attention_masked": lambda x: _attend(x, attn_mask=_SEEN),
    "attention_causal": lambda x: _attend(x, is_causal=True, scale=0.2),
    "argmax": lambda x: x.argmax().reshape(1),
    "argmax_kept": lambda x: (-x).argmin(dim=None, keepdim=True),
    "argmin": lambda x: x.argmin(1),
    "all": lambda x: x.all(-1),
    "any": lambda x: (x / 1000).any(1, keepdim=True),
}


@pytest.fixture(scope="module", params=["export", "trace"])
def computed(request: pytest.FixtureRequest, lowered: Callable[..., Any]) -> dict[str, Any]:
    given = lowered(FUNCTIONS, ROWS, list(INPUTS.values()), request.param)
    return dict(zip(INPUTS, given, strict=True))


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("inputs", INPUTS)
def test_an_axis_gives_pytorchs_numbers_at_every_scale(
    computed: dict[str, Any], name: str, inputs: str
) -> None:
    expected = FUNCTIONS[name](INPUTS[inputs]).float().numpy()
    largest = float(np.abs(expected[np.isfinite(expected)]).max(initial=0))
    np.testing.assert_allclose(computed[inputs][name], expected, rtol=2e-4, atol=2e-6 * largest)
