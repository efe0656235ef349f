"""Calls that run together get what each gets alone, and the model sees their rows stacked where it may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from tests.package.host.toys import contract_of, films, history, scores

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.errors import CallError
from pocketrec.package.host.answers import Recommendations, plain
from pocketrec.package.host.calls import Host
from pocketrec.package.host.features import Array
from pocketrec.package.host.roles import rows_stack

FILM = Feature(name="film", kind="id", shape=("batch",), vocabulary="film", out_of_vocabulary="unknown")
WEIGHT = Feature(name="weight", kind="dense", dtype="float32", shape=("batch",))
CLICK = Output(name="click", meaning="logit", shape=("batch",))
STATE = Feature(name="kept", kind="state", dtype="float32", shape=(1, 2))
NEXT = Output(name="kept_next", meaning="state", updates="kept", shape=(1, 2))
CALLS: list[dict[str, Any]] = [
    {"history": ["a", "b"]},
    {"history": ["c"], "k": 1},
    {"history": ["Same"]},
    {"history": ["a", "b", "c"], "excluding": ["a"]},
    {"history": []},
    {"history": ["b", "no film"], "k": 0},
    {"history": [7]},
]


class Counted:
    """A model whose rows depend on nothing but themselves, and what it was given."""

    def __init__(self, contract: Contract) -> None:
        self.sizes: list[int] = []
        self.host = Host(contract=contract, vocabularies={"film": films()}, run=self.run, tokenize=no_text)
        self._signature = contract.functions["main"]

    def run(self, function: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        first = np.asarray(next(iter(inputs.values())), np.float32)
        self.sizes.append(len(first))
        sums = [np.asarray(each, np.float32).reshape(len(first), -1).sum(1) for each in inputs.values()]
        length = first.shape[1] if first.ndim > 1 else 0  # what it makes of padding depends on it
        rows = np.stack(sums, 1).sum(1)[:, None] * np.cos(np.arange(6, dtype=np.float32) + length)
        outputs = self._signature.outputs
        return {each.name: rows[:, 0] if len(each.shape) == 1 else rows for each in outputs}


def no_text(*_: object) -> list[int]:
    raise AssertionError("no text here")


def alone(host: Host, method: str, arguments: Mapping[str, Any]) -> Any:
    """What one call gives, or the code of its error."""
    try:
        return told(host.call(method, arguments))
    except CallError as error:
        return error.code


def told(answer: Any) -> Any:
    """An answer as plain values, without what unknown words may have been meant for."""
    if isinstance(answer, CallError):
        return answer.code
    found = plain(answer)
    return {**found, "unknown": [each["given"] for each in found.get("unknown", ())]}


def test_each_call_gets_what_it_gets_alone_and_rows_of_one_shape_run_as_one() -> None:
    model = Counted(contract_of(Signature(inputs=(history(),), outputs=(scores(),))))
    found = [told(each) for each in model.host.call_many("recommend", CALLS)]
    assert model.sizes == [2, 2], "two entries long and three; a history without items is of the full length"
    assert found == [alone(model.host, "recommend", each) for each in CALLS]
    assert found[2] == "ambiguous_title"
    assert found[6] == "wrong_type"


def test_candidates_of_several_calls_run_as_one() -> None:
    model = Counted(contract_of(Signature(inputs=(FILM, WEIGHT), outputs=(CLICK,), items="film")))
    calls: list[dict[str, Any]] = [
        {"candidates": ["a", "b", "c"], "weight": 2.0},
        {"candidates": []},
        {"candidates": [{"film": "c", "weight": 1}, {"film": "b", "weight": 2}]},
        {"candidates": ["a"]},
    ]
    found = [told(each) for each in model.host.call_many("rank", calls)]
    assert max(model.sizes) > 3
    assert found == [alone(model.host, "rank", each) for each in calls]
    assert found[3] == "missing_feature"


def test_unknown_words_are_named_without_a_look_for_what_they_may_have_been() -> None:
    model = Counted(contract_of(Signature(inputs=(history(),), outputs=(scores(),))))
    found = model.host.call_many("recommend", [{"history": ["Alpa"]}])[0]
    assert isinstance(found, Recommendations)
    assert [(each.given, each.near) for each in found.unknown] == [("Alpa", ())]
    assert model.host.call("recommend", {"history": ["Alpa"]}).unknown[0].near == ("Alpha",)


@pytest.mark.parametrize(
    ("inputs", "outputs", "stacks"),
    [
        ((history(),), (scores(),), True),
        ((history(shape=(1, 3)),), (scores(shape=(1, 6)),), False),  # one row, always
        ((history(),), (scores(shape=(6,)),), False),  # what comes out has no rows
        ((history(),), (scores(), Output(name="near", meaning="score", shape=("batch", "batch"))), False),
        ((history(), STATE), (scores(), NEXT), False),
    ],
)
def test_rows_stack_where_every_axis_of_rows_is_free_and_the_first(
    inputs: tuple[Feature, ...], outputs: tuple[Output, ...], stacks: bool
) -> None:
    contract = contract_of(Signature(inputs=inputs, outputs=outputs))
    assert rows_stack(next(iter(contract.functions.values()))) is stacks
