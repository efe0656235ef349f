"""Attention: against PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from pocketrec.validate.coreml_program.kernels.transformers import scaled_dot_product_attention as attend


def drawn(rng: Any, *shape: int) -> Any:
    return rng.standard_normal(shape).astype(np.float32)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 999), st.sampled_from(["none", "bool", "float"]), st.booleans())
def test_attention_agrees_with_torch(seed: int, kind: str, heads: bool) -> None:
    """With no mask, with one that chooses and one that is added, over one or two batch axes."""
    rng = np.random.default_rng(seed)
    lead = (2, 3) if heads else (2,)
    query, key, value = drawn(rng, *lead, 4, 5), drawn(rng, *lead, 6, 5), drawn(rng, *lead, 6, 7)
    mask: Any = {"none": None, "bool": rng.random((4, 6)) < 0.7, "float": drawn(rng, 4, 6)}[kind]
    if kind == "bool":
        mask[:, 0] = True  # what PyTorch gives for a row without any place differs by release
    expected = F.scaled_dot_product_attention(
        torch.tensor(query),
        torch.tensor(key),
        torch.tensor(value),
        attn_mask=None if mask is None else torch.tensor(mask),
    )
    np.testing.assert_allclose(attend(query, key, value, mask), expected, rtol=1e-4, atol=1e-5)


def test_a_masked_place_has_no_influence() -> None:
    """Whatever stands there, and a mask that is ignored would be seen."""
    rng = np.random.default_rng(0)
    query, key, value = drawn(rng, 1, 2, 4), drawn(rng, 1, 3, 4), drawn(rng, 1, 3, 4)
    changed = value.copy()
    changed[0, 2] = 1e6
    mask = np.array([[True, True, False]])
    np.testing.assert_array_equal(attend(query, key, value, mask), attend(query, key, changed, mask))
    assert np.abs(attend(query, key, value) - attend(query, key, changed)).max() > 1
