"""A contract's names bind to parameters and results by name, or by place where no name says otherwise."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.convert.watch.bind import bind_inputs, bind_outputs
from pocketrec.convert.watch.contract_module import ContractModule
from pocketrec.errors import ContractError


def signature(*inputs: str, outputs: tuple[str, ...] = ("y",)) -> Signature:
    return Signature(
        inputs=tuple(Feature(name=each, kind="dense", dtype="float32", shape=(2,)) for each in inputs),
        outputs=tuple(Output(name=each, meaning="score", shape=(2,)) for each in outputs),
    )


def taken(method: Callable[..., Mapping[str, int]], *names: str) -> Mapping[str, int]:
    """What each parameter gets of the numbers 1, 2, … in the contract's order."""
    args, kwargs = bind_inputs(method, signature(*names)).arguments(range(1, len(names) + 1))
    return method(*args, **kwargs)


def likes(liked: int, disliked: int, weight: int = 0) -> Mapping[str, int]:
    return {"liked": liked, "disliked": disliked, "weight": weight}


def anything(**features: int) -> Mapping[str, int]:
    return features


def places(*features: int) -> Mapping[str, int]:
    return {str(place): each for place, each in enumerate(features)}


def keyword(first: int, *, second: int) -> Mapping[str, int]:
    return {"first": first, "second": second}


@pytest.mark.parametrize(
    ("method", "names", "expected"),
    [
        (likes, ("liked", "disliked"), {"liked": 1, "disliked": 2, "weight": 0}),
        (likes, ("disliked", "liked"), {"liked": 2, "disliked": 1, "weight": 0}),
        (likes, ("disliked", "weight", "liked"), {"liked": 3, "disliked": 1, "weight": 2}),
        (likes, ("a", "b"), {"liked": 1, "disliked": 2, "weight": 0}),
        (likes, ("liked", "b"), {"liked": 1, "disliked": 2, "weight": 0}),
        (anything, ("b", "a"), {"b": 1, "a": 2}),
        (places, ("b", "a"), {"0": 1, "1": 2}),
        (keyword, ("second", "first"), {"first": 2, "second": 1}),
        (keyword, ("first", "second"), {"first": 1, "second": 2}),
    ],
)
def test_a_name_that_is_a_parameter_gets_its_own_input(
    method: Callable[..., Mapping[str, int]], names: tuple[str, ...], expected: Mapping[str, int]
) -> None:
    assert taken(method, *names) == expected


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ("other", "liked"),
            r"input 'liked' stands at place 2 of the contract and at place 1 of forward\(liked, disliked",
        ),
        (("disliked", "b"), r"input 'disliked' stands at place 1 of the contract and at place 2 of forward"),
        (("liked",), r"forward takes 'disliked', which the contract \(liked\) does not have"),
        (
            ("weight", "liked"),
            r"forward takes 'disliked', which the contract \(weight, liked\) does",
        ),
    ],
)
def test_a_permutation_that_names_do_not_settle_is_refused(names: tuple[str, ...], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        bind_inputs(likes, signature(*names))


class Scored(nn.Module):
    """Tells its two inputs apart, and answers as `form` does."""

    def __init__(self, form: Callable[[Tensor, Tensor], object]) -> None:
        super().__init__()
        self.form = form

    def forward(self, liked: Tensor, disliked: Tensor) -> object:
        return self.form(liked - 10 * disliked, liked)


class Pair(NamedTuple):
    echo: Tensor
    score: Tensor


@dataclasses.dataclass
class Answer:
    echo: Tensor
    score: Tensor


FORMS: dict[str, Callable[[Tensor, Tensor], object]] = {
    "dict": lambda score, echo: {"echo": echo, "score": score, "more": 0},
    "named tuple": lambda score, echo: Pair(echo, score),
    "dataclass": lambda score, echo: Answer(echo, score),
    "tuple": lambda score, echo: (score, echo),
    "list": lambda score, echo: [score, echo],
}


@pytest.mark.parametrize("form", FORMS)
def test_outputs_with_names_bind_by_them_and_others_by_place(form: str) -> None:
    given = signature("disliked", "liked", outputs=("score", "echo"))
    module = ContractModule(Scored(FORMS[form]), Contract(functions={"main": given}), given)
    score, echo = module(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0]))
    assert score.tolist() == [-7.0, -16.0]
    assert echo.tolist() == [3.0, 4.0]


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ({"score": torch.ones(2)}, r"forward returned no output 'y'; it returned score"),
        ((torch.ones(2), torch.ones(2)), r"forward returned 2 tensors; the contract names 1 \(y\)"),
        ((), r"forward returned 0 tensors; the contract names 1 \(y\)"),
        (None, r"output y is NoneType; expected a tensor"),
        ({"y": [1.0]}, r"output y is list; expected a tensor"),
    ],
)
def test_what_is_returned_and_is_not_the_contracts_is_said(returned: Any, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        bind_outputs(returned, signature("x"))


def test_two_outputs_declared_and_one_returned_is_a_mistake_of_the_contract() -> None:
    with pytest.raises(ContractError, match=r"returned 1 tensor; the contract names 2 \(y, z\)"):
        bind_outputs(torch.ones(2), signature("x", outputs=("y", "z")))
