"""A loss over the places that a mask chooses is one over all places, of which the others do not count."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.convert.capture.capture import Capture, capture
from pocketrec.convert.rewrite import prove_same
from pocketrec.convert.rewrite.chosen_rows import ChosenPlacesRule, CountedPlacesRule
from pocketrec.errors import Refused

WIDTH = 5


class Next(nn.Module):
    """How well each step of a history tells the next; 0 where no history has two steps."""

    def __init__(self, *, across_places: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(30, 3)
        self.across_places = across_places

    def forward(self, ids: Tensor) -> Tensor:
        steps, kept = self.table(ids), ids > 0
        valid = kept[:, :-1] & kept[:, 1:]
        here, after = steps[:, :-1][valid], steps[:, 1:][valid]
        if here.size(0) == 0:
            return torch.tensor(0.0)
        scores = torch.sigmoid((here * after).sum(-1, keepdim=True))
        if self.across_places:
            scores = scores.cumsum(0) / 30
        return F.binary_cross_entropy(scores, torch.ones_like(scores))


def captured(module: nn.Module) -> Capture:
    signature = Signature(
        inputs=(Feature(name="ids", kind="dense", shape=("batch", WIDTH)),),
        outputs=(Output(name="y", meaning="score", shape=()),),
    )
    contract = Contract(functions={"main": signature}, dims={"batch": Dim(max=8)})
    rows = torch.tensor([[3, 4, 5, 6, 7], [0, 0, 1, 2, 9], [0, 0, 0, 0, 8], [1, 0, 2, 0, 3]])
    probes = [{"ids": rows}, {"ids": rows[:3].flip(1)}, {"ids": rows[2:]}]
    return capture(module.eval(), contract, "main", probes)


def test_the_loss_is_that_of_the_chosen_places_whatever_their_number() -> None:
    module = Next()
    found = captured(module)
    assert "chosen_places_to_masked_reduction" in {each.name for each in found.rewrites}
    (assumed,) = found.assumptions
    assert assumed.endswith("what is reduced over no chosen place is 0")
    program = found.program.module(check_guards=False)
    for ids in (torch.tensor([[9, 8, 7, 0, 0], [0, 0, 0, 4, 4]]), torch.zeros(2, WIDTH, dtype=torch.int64)):
        assert torch.allclose(program(ids)[0], module(ids), atol=1e-6)


def test_a_loss_that_mixes_places_is_refused() -> None:
    with pytest.raises(Refused):
        captured(Next(across_places=True))


def test_without_a_question_for_their_number_the_mean_of_no_place_is_not_a_number() -> None:
    mask, values = torch.zeros(2, 2, dtype=torch.bool), torch.ones(2, 2)
    rule = ChosenPlacesRule()
    chosen = rule.replace(Tensor.__getitem__, (values, mask), {})
    assert rule.replace(Tensor.mean, (chosen,), {}).isnan()
    assert rule.replace(Tensor.sum, (chosen,), {}) == 0
    assert CountedPlacesRule().replace(Tensor.size, (values, 0), {}) is NotImplemented
    assert CountedPlacesRule().replace(Tensor.size, (chosen, 0), {}) == 4
    assert rule.replace(Tensor.mean, (chosen,), {}) == 0


def test_sums_of_one_axis_keep_the_places_and_other_steps_forget_them() -> None:
    mask = torch.tensor([[True, False], [True, True]])
    rule = ChosenPlacesRule()
    values = torch.arange(12.0).reshape(2, 2, 3)
    chosen = rule.replace(Tensor.__getitem__, (values, mask), {})
    totals = rule.replace(Tensor.sum, (chosen, -1), {})
    assert torch.equal(rule.replace(Tensor.mean, (totals,), {}), values[mask].sum(-1).mean())
    assert rule.replace(Tensor.sum, (chosen, 0), {}) is NotImplemented
    assert rule.replace(Tensor.mul, (chosen.flip(0), 2.0), {}) is NotImplemented


def test_a_number_that_is_none_is_no_proof() -> None:
    class Given(nn.Module):
        def __init__(self, value: float) -> None:
            super().__init__()
            self.value = value

        def forward(self, x: Tensor) -> tuple[Tensor]:
            return (x * 0 + self.value,)

    with pytest.raises(Refused, match="the rewrite is off"):
        prove_same(Given(0.0), Given(float("nan")), [(torch.ones(2),)], ["a rule"])
