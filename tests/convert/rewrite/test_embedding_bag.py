"""EmbeddingBag becomes a gather and a reduction that give the same numbers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite import prove_same, replace_modules
from pocketrec.convert.rewrite.embedding_bag import EmbeddingBagRewrite
from pocketrec.errors import Refused


class Bag(nn.Module):
    def __init__(self, **options: object) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.bag = nn.EmbeddingBag(20, 6, **options)  # type: ignore[arg-type]

    def forward(self, ids: Tensor) -> tuple[Tensor]:
        return (self.bag(ids),)


def probes() -> list[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(3)
    drawn = [(torch.randint(0, 20, (5, 7), generator=generator),) for _ in range(3)]
    return [*drawn, (torch.zeros(2, 7, dtype=torch.int64),)]


@pytest.mark.parametrize("mode", ["sum", "mean", "max"])
@pytest.mark.parametrize("padding_idx", [None, 0])
def test_every_mode_and_padding_is_equal_on_every_probe(mode: str, padding_idx: int | None) -> None:
    bag = Bag(mode=mode, padding_idx=padding_idx)
    rewritten, applied = replace_modules(bag)
    assert [path for path, _ in applied] == ["bag"]
    assert prove_same(bag, rewritten, probes(), []) <= 1e-6
    assert not any(isinstance(each, nn.EmbeddingBag) for each in rewritten.modules())


def test_a_module_without_bags_is_left_as_it_is() -> None:
    module = nn.Sequential(nn.Linear(2, 2))
    assert replace_modules(module) == (module, [])


def test_a_bag_that_renormalizes_while_it_reads_is_refused() -> None:
    with pytest.raises(Refused, match=r"max_norm changes the table while it is read"):
        replace_modules(Bag(max_norm=1.0))


def test_the_proof_catches_a_wrong_rewrite() -> None:
    class Summing(EmbeddingBagRewrite):
        def replace(self, module: nn.Module) -> nn.Module:
            replacement = super().replace(module)
            replacement.mode = "sum"  # type: ignore[assignment]
            return replacement

    bag = Bag(mode="mean")
    rewritten, _ = replace_modules(bag, [Summing()])
    with pytest.raises(Refused, match=r"embedding_bag.*: the rewrite is off by .* on probe 0"):
        prove_same(bag, rewritten, probes(), [Summing.name])
