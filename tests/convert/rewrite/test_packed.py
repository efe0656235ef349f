"""Packed sequences run as padded ones and give the same numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.convert.rewrite import prove_same, replace_modules
from pocketrec.convert.rewrite.packed import PackRule, PaddedRecurrentRewrite
from pocketrec.convert.watch.contract_module import ContractModule
from pocketrec.convert.watch.intercept import FunctionRule, Interception, rules_by_function
from pocketrec.errors import Refused

WIDTH = 6


class Encoder(nn.Module):
    def __init__(self, kind: Any, *, enforce_sorted: bool = False, **options: Any) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(30, 4)
        self.layer = kind(4, 5, batch_first=True, **options)
        self.enforce_sorted = enforce_sorted

    def forward(self, ids: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        rows = self.table(ids)
        packed = pack_padded_sequence(
            rows, lengths.cpu(), batch_first=True, enforce_sorted=self.enforce_sorted
        )
        output, hidden = self.layer(packed)
        padded, _ = pad_packed_sequence(output, batch_first=True, total_length=WIDTH)
        last = torch.cat(hidden, dim=-1) if isinstance(hidden, tuple) else hidden
        return padded, last.transpose(0, 1)


def probes() -> list[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(1)
    return [
        (torch.randint(0, 30, (len(lengths), WIDTH), generator=generator), torch.tensor(lengths))
        for lengths in ([6, 3, 1, 4], [2], [5, 5])
    ]


def wrapped(module: nn.Module, rule: FunctionRule | None = None) -> tuple[ContractModule, ContractModule]:
    signature = Signature(
        inputs=(
            Feature(name="ids", kind="dense", shape=("batch", WIDTH)),
            Feature(name="lengths", kind="length", shape=("batch",)),
        ),
        outputs=(
            Output(name="padded", meaning="state", shape=("batch", WIDTH, 5)),
            Output(name="hidden", meaning="state", shape=("batch", 1, 5)),
        ),
    )
    contract = Contract(functions={"main": signature}, dims={"batch": Dim(max=8)})
    original = ContractModule(module.eval(), contract, signature)
    replaced, _ = replace_modules(module, [PaddedRecurrentRewrite()])
    rules = rules_by_function([rule or PackRule()])
    return original, original.using(replaced, Interception(rules=rules))


@pytest.mark.parametrize("kind", [nn.GRU, nn.LSTM, nn.RNN])
@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"bias": False}])
def test_every_layer_gives_the_same_steps_and_states(kind: Any, options: dict[str, Any]) -> None:
    original, rewritten = wrapped(Encoder(kind, **options))
    assert prove_same(original, rewritten, probes(), []) < 1e-5
    plan = rewritten.interception
    assert plan is not None
    assert {name for name, _ in plan.applied} == {"packed_sequence_to_padded"}


def test_rows_sorted_by_their_caller_are_not_sorted_again() -> None:
    original, rewritten = wrapped(Encoder(nn.GRU, enforce_sorted=True))
    longest_first = [(ids, lengths.sort(descending=True).values) for ids, lengths in probes()]
    assert prove_same(original, rewritten, longest_first, []) < 1e-5


def test_a_layer_that_takes_tensors_runs_as_before() -> None:
    layer = nn.GRU(4, 5)
    replaced, places = replace_modules(nn.Sequential(layer), [PaddedRecurrentRewrite()])
    rows = torch.randn(6, 2, 4)
    assert [path for path, _ in places] == ["0"]
    assert torch.equal(replaced(rows)[0], layer(rows)[0])
    assert list(replaced.state_dict()) == ["0.weight_ih_l0", "0.weight_hh_l0", "0.bias_ih_l0", "0.bias_hh_l0"]


def test_a_layer_with_projections_is_left_alone() -> None:
    assert not PaddedRecurrentRewrite().matches(nn.LSTM(4, 5, proj_size=2))


def test_the_proof_catches_lengths_that_are_off_by_one() -> None:
    class Longer(PackRule):
        def replace(self, function: Any, args: Any, kwargs: Any) -> Any:
            if function.__name__ == "_pack_padded_sequence":
                args = (args[0], args[1] + 1, args[2])
            return super().replace(function, args, kwargs)

    original, rewritten = wrapped(Encoder(nn.GRU), Longer())
    with pytest.raises(Refused, match=r"packed_sequence_to_padded: the rewrite is off by .* on probe 0"):
        prove_same(original, rewritten, probes(), [PackRule.name])


class Evolving(nn.Module):
    """A cell of its own over the steps of a packed sequence, as attention in a recurrent layer needs."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item, self.cell = nn.Embedding(30, 4, padding_idx=0), nn.GRUCell(4, 4)

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        lengths = (ids > 0).sum(1).cpu()
        packed = pack_padded_sequence(self.item(ids), lengths, batch_first=True, enforce_sorted=False)
        data, sizes, order, back = packed
        assert back is not None
        state = last = torch.zeros(int(sizes[0]), 4)
        last, steps, start = last.clone(), torch.zeros(len(data), 4), 0
        for count in sizes:
            state = self.cell(data[start : start + count], state[:count])
            steps[start : start + count] = state
            last[:count] = state
            start += count
        kept = torch.ones(len(ids), 4)
        kept[: sizes[1], :] = last[: sizes[1]] * 2
        padded, _ = pad_packed_sequence(
            PackedSequence(steps, sizes, order, back), batch_first=True, total_length=WIDTH
        )
        return padded, last[back], kept[back]


def test_a_loop_over_the_batch_sizes_leaves_rows_that_are_over_as_they_were(far: Callable[..., Any]) -> None:
    def drawn(*lengths: int) -> tuple[Tensor]:
        ids = torch.randint(
            1, 30, (len(lengths), WIDTH), generator=torch.Generator().manual_seed(len(lengths))
        )
        return (ids * (torch.arange(WIDTH) < torch.tensor(lengths).unsqueeze(1)),)

    far(Evolving(), drawn(2, 6, 4, 3), drawn(1, 1, 6, 5, 2, 3, 4), drawn(6, 6), drawn(3))
