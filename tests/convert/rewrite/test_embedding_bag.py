"""embedding_bag becomes a gather and a reduction that give the same numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.convert.rewrite import FUNCTION_RULES, prove_same
from pocketrec.convert.rewrite.embedding_bag import EmbeddingBagRule
from pocketrec.convert.watch.intercept import FunctionRule, Interception, rules_by_function
from pocketrec.errors import Refused

TABLE = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
OFFSETS = torch.tensor([0, 3, 3, 9])


class Ruled(nn.Module):
    """A module whose calls the rules may replace."""

    def __init__(self, module: nn.Module, rules: Sequence[FunctionRule] = FUNCTION_RULES) -> None:
        super().__init__()
        self.module = module
        self.plan = Interception(rules=rules_by_function(rules))

    def forward(self, *inputs: Tensor) -> tuple[Tensor]:
        with self.plan.running():
            return self.module(*inputs)  # type: ignore[no-any-return]

    @property
    def applied(self) -> set[str]:
        return {name for name, _ in self.plan.applied}


class Bag(nn.Module):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.bag = nn.EmbeddingBag.from_pretrained(TABLE, **options)

    def forward(self, *inputs: Tensor) -> tuple[Tensor]:
        return (self.bag(*inputs),)


def rows(seed: int) -> Tensor:
    return torch.randint(0, 20, (5, 7), generator=torch.Generator().manual_seed(seed))


def flat(seed: int) -> tuple[Tensor, Tensor]:
    return torch.randint(0, 20, (11,), generator=torch.Generator().manual_seed(seed)), OFFSETS


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding_idx", [None, 0, -3])
def test_every_mode_and_padding_of_padded_rows_is_equal(mode: str, padding_idx: int | None) -> None:
    bag = Bag(mode=mode, padding_idx=padding_idx)
    ruled = Ruled(bag)
    probes = [(rows(seed),) for seed in range(3)] + [(torch.full((2, 7), (padding_idx or 0) % 20),)]
    assert prove_same(bag, ruled, probes, []) <= 1e-6
    assert ruled.applied == {"embedding_bag_to_gather_reduce"}


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding_idx", [None, 4])
@pytest.mark.parametrize("last", [False, True])
def test_bags_given_by_offsets_are_equal_empty_ones_too(
    mode: str, padding_idx: int | None, last: bool
) -> None:
    bag = Bag(mode=mode, padding_idx=padding_idx, include_last_offset=last)
    probes = [flat(seed) for seed in range(3)]
    if last:
        probes = [(ids, torch.cat([offsets, torch.tensor([len(ids)])])) for ids, offsets in probes]
    assert prove_same(bag, Ruled(bag), probes, []) <= 1e-6


@pytest.mark.parametrize("inputs", [(rows(0),), flat(0)])
def test_weights_per_sample_are_equal(inputs: tuple[Tensor, ...]) -> None:
    def weighted(ids: Tensor, offsets: Tensor | None = None) -> tuple[Tensor]:
        weights = (ids % 3).float() - 1
        return (F.embedding_bag(ids, TABLE, offsets, mode="sum", per_sample_weights=weights),)

    class Weighted(nn.Module):
        def forward(self, *inputs: Tensor) -> tuple[Tensor]:
            return weighted(*inputs)

    assert prove_same(Weighted(), Ruled(Weighted()), [inputs], []) <= 1e-6


def test_a_plain_lookup_is_left_as_it_is() -> None:
    lookup = Ruled(nn.Embedding(20, 6, _weight=TABLE, scale_grad_by_freq=True, sparse=True))
    assert torch.equal(lookup(rows(0))[0], TABLE[rows(0)[0]])
    assert lookup.applied == set()


@pytest.mark.parametrize("module", [nn.EmbeddingBag(20, 6, max_norm=1.0), nn.Embedding(20, 6, max_norm=1.0)])
def test_a_table_that_is_renormalized_while_it_is_read_is_refused(module: nn.Module) -> None:
    with pytest.raises(Refused, match=r"test_embedding_bag.py:\d+: max_norm changes the table while it is"):
        Ruled(module)(rows(0))


def test_the_proof_catches_a_wrong_rewrite() -> None:
    class Summing(EmbeddingBagRule):
        def replace(
            self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
        ) -> Any:
            return super().replace(function, args, {**kwargs, "mode": "sum"})

    bag = Bag(mode="mean")
    with pytest.raises(Refused, match=r"embedding_bag.*: the rewrite is off by .* on probe 0"):
        prove_same(bag, Ruled(bag, [Summing()]), [(rows(0),)], [Summing.name])


def test_both_targets_sum_and_average_bags_by_rows_and_by_offsets(converted: Callable[..., Any]) -> None:
    class Both(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.padded = nn.EmbeddingBag.from_pretrained(TABLE, mode="mean", padding_idx=0)

        def forward(self, ids: Tensor, offsets: Tensor) -> Any:
            flat = F.embedding_bag(ids.reshape(-1), TABLE, offsets, mode="max")
            return self.padded(ids) + flat + F.embedding_bag(ids, TABLE, mode="sum")

    result = converted(Both(), rows(1)[:4], torch.tensor([0, 7, 7, 20]))
    assert "embedding_bag_to_gather_reduce" in {each.name for each in result.rewrites}
