"""`flex_attention` gives its own numbers without the compiler that it asks for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.attention import flex_attention as flex

from pocketrec.convert.rewrite.flex_attention import FlexAttentionRule
from pocketrec.convert.watch.intercept import Interception, rules_by_function
from pocketrec.convert.watch.patches import uncompiled

LENGTH = 6


class Attention(nn.Module):
    """Two heads of queries on one of keys, a bias by distance, and no look ahead."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item, self.key = nn.Embedding(30, 8), nn.Linear(8, 4)
        self.distance = nn.Parameter(torch.randn(2 * LENGTH))
        self.mask = flex.create_block_mask(
            lambda row, head, query, key: query >= key, None, None, LENGTH, LENGTH, device="cpu"
        )

    def forward(self, ids: Tensor) -> Tensor:
        x = self.item(ids)
        queries = x.reshape(len(ids), LENGTH, 2, 4).transpose(1, 2)
        keys = self.key(x).unsqueeze(1)

        def bias(score: Tensor, row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            return score + self.distance[query - key + LENGTH] * (head + 1)

        output: Tensor = flex.flex_attention(
            queries, keys, keys, score_mod=bias, block_mask=self.mask, enable_gqa=True
        )
        return output


def test_outputs_and_logarithms_are_the_operators() -> None:
    x = torch.randn(2, 1, 5, 4)
    blind = flex.create_block_mask(lambda row, head, query, key: query > key, None, None, 5, 5, device="cpu")
    with torch.no_grad(), uncompiled():
        expected = flex.flex_attention(x, x, x, block_mask=blind, return_lse=True)
        with Interception(rules=rules_by_function([FlexAttentionRule()])).running():
            actual = flex.flex_attention(x, x, x, block_mask=blind, return_lse=True)
    torch.testing.assert_close(actual, expected)


def test_both_targets_attend_for_any_batch(far: Callable[..., Any]) -> None:
    found = far(Attention(), (torch.randint(0, 30, (4, LENGTH)),), (torch.randint(0, 30, (7, LENGTH)),))
    assert "flex_attention_to_products" in {each.name for each in found.rewrites}
