"""A survey follows the inputs through PyTorch's functions and sees where they leave it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.convert.watch.contract_module import ContractModule
from pocketrec.convert.watch.intercept import Interception, constant_choices, constant_events, steady_branches
from pocketrec.convert.watch.survey import Survey, survey

X = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


class Calls(nn.Module):
    def __init__(self, function: Callable[[Tensor], Any]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(x)


def surveyed(function: Callable[[Tensor], Any], *inputs: Tensor) -> list[Survey]:
    signature = Signature(
        inputs=(Feature(name="x", kind="dense", dtype="float32", shape=("batch", 3)),),
        outputs=(Output(name="y", meaning="score", shape=("batch",)),),
    )
    contract = Contract(functions={"main": signature}, dims={"batch": Dim(max=8)})
    module = ContractModule(Calls(function), contract, signature).using(Calls(function), Interception())
    return [survey(module, (each,)) for each in inputs or (X, X[:1] + 1)]


def test_outputs_know_the_inputs_that_they_depend_on() -> None:
    (found, _) = surveyed(lambda x: x.sum(1) * 2)
    assert found.outputs == (frozenset({0}),)


def test_a_result_that_was_cached_depends_on_nothing() -> None:
    (found, _) = surveyed(lambda x: torch.ones(len(x)))
    assert found.outputs == (frozenset(),)


def test_a_write_in_place_carries_the_input_into_its_target() -> None:
    def write(x: Tensor) -> Tensor:
        out = torch.zeros(len(x), 3)
        out[:, 1] = x[:, 0]
        return out.sum(1)

    assert surveyed(write)[0].outputs == (frozenset({0}),)


def test_a_value_that_leaves_torch_is_an_event_with_its_line() -> None:
    (found, _) = surveyed(lambda x: torch.from_numpy(np.array(x.numpy())).sum(1))
    (event,) = [each for each in found.events if each.kind == "escape"]
    assert (event.name, event.sources) == ("numpy", frozenset({0}))
    assert "test_survey.py:" in event.where
    assert found.outputs == (frozenset(),)


def test_a_random_draw_is_named() -> None:
    (found, _) = surveyed(lambda x: x.sum(1) + torch.randn(1))
    assert [name for name, _ in found.random] == ["randn"]


def test_constant_events_are_those_that_no_survey_changes() -> None:
    weights = torch.tensor([1.0, 0.0, 2.0])
    constant = surveyed(lambda x: x.sum(1) * weights.max().item())
    assert constant_events(constant) == {0}
    own = surveyed(lambda x: x.sum(1) * x.max().item())
    assert constant_events(own) == frozenset()
    sized = surveyed(lambda x: x.sum(1) * torch.tensor(float(len(x))).item())
    assert constant_events(sized) == frozenset()


def test_a_branch_is_steady_only_where_all_surveys_agree() -> None:
    def positive(x: Tensor) -> Tensor:
        return x.sum(1) if bool((x > 0).all()) else -x.sum(1)

    assert steady_branches(surveyed(positive)) == {0}
    assert steady_branches(surveyed(positive, X, -X)) == frozenset()


def test_a_mask_that_no_input_changes_is_a_choice() -> None:
    mask = torch.tensor([True, False, True])
    (choice,) = constant_choices(surveyed(lambda x: x[:, mask].sum(1))).values()
    assert (choice.places[0].tolist(), choice.per_row) == ([0, 2], False)
    (choice,) = constant_choices(
        surveyed(lambda x: torch.masked_select(x, mask.expand(len(x), 3)).view(len(x), 2).sum(1))
    ).values()
    assert (choice.places[0].tolist(), choice.per_row) == ([0, 2], True)
    assert constant_choices(surveyed(lambda x: x[x > 2].sum().expand(len(x)))) == {}
