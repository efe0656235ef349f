"""Items are generated id by id, over what the catalogue allows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.package.host.toys import TITLES, TOKENS
from tests.package.tapes import CONTRACTS, SPELLINGS

from pocketrec.contract import Dim
from pocketrec.errors import CallError
from pocketrec.package.host.answers import Recommendations
from pocketrec.package.host.calls import Host
from pocketrec.package.host.items import Items
from pocketrec.package.host.roles import calls_of

CONTRACT = CONTRACTS["generate"]
FIRST, SECOND = np.array([0.0, 3.0, 1.0, 2.0]), np.array([0.0, 0.0, 1.0, 2.0])  # logits of both ids


class Decoder:
    """The same logits whatever came before, and what it was asked."""

    def __init__(self, contract: Any = CONTRACT) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        code = contract.vocabularies["code"]
        self.host = Host(
            contract=contract,
            vocabularies={
                "film": Items("film", contract.vocabularies["film"], TOKENS, TITLES, SPELLINGS),
                "code": Items("code", code, ("[pad]", "x", "y", "z")),
            },
            run=self.run,
            tokenize=lambda *each: [],
        )

    def run(self, function: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        self.asked.append((function, {name: np.asarray(each).tolist() for name, each in inputs.items()}))
        if function == "encode":
            return {"memory": np.asarray(inputs["past"], np.float32) * 2}
        count = len(inputs["prefix"])
        both = np.stack([FIRST, SECOND]).astype(np.float32)
        return {"logits": np.repeat(both[None], count, axis=0)}

    def call(self, **arguments: Any) -> Recommendations:
        found = self.host.call("generate", arguments)
        assert isinstance(found, Recommendations)
        return found


def test_the_encoder_is_no_method_and_the_history_is_items() -> None:
    (call,) = calls_of(CONTRACT).values()
    assert (call.method, call.function, call.items) == ("generate", "decode", "film")
    assert call.names == ("history", "k", "excluding")


def test_items_come_by_the_probability_of_their_spelling() -> None:
    decoder = Decoder()
    found = decoder.call(history=["Alpha", "c"])
    logs = [each - np.log(np.exp(each).sum()) for each in (FIRST, SECOND)]
    expected = {
        place: logs[0][int(first)] + logs[1][int(second)]
        for place, (first, second) in ((i, s.split(" ")) for i, s in enumerate(SPELLINGS) if s)
    }
    assert [each.id for each in found] == sorted(expected, key=lambda each: -expected[each])
    assert [each.score for each in found] == pytest.approx(sorted(expected.values(), reverse=True), abs=1e-6)
    function, inputs = decoder.asked[0]
    assert (function, inputs["past"]) == ("encode", [[1, 2, 2, 1, 0]]), "a and c, spelled, then padding"
    function, inputs = decoder.asked[1]
    assert (function, inputs["prefix"], inputs["memory"]) == ("decode", [[0, 0]], [[2, 4, 4, 2, 0]])
    assert decoder.asked[2][1]["prefix"] == [[0, 1], [0, 3], [0, 2]], "the best beams first, one run"


@pytest.mark.parametrize(
    ("history", "past"),
    [
        (["a", "b", "c"], [1, 3, 2, 1, 0]),  # the most recent two, whole
        (["a", "no film"], [1, 2, 0, 0, 0]),  # what is unknown pads, as long as an item
        ([], [0, 0, 0, 0, 0]),
    ],
)
def test_a_history_is_spelled_in_whole_items(history: list[str], past: list[int]) -> None:
    decoder = Decoder()
    found = decoder.call(history=history)
    assert decoder.asked[0][1]["past"] == [past]
    assert [each.given for each in found.unknown] == [each for each in history if each == "no film"]


def test_what_is_excluded_is_no_branch_and_k_cuts() -> None:
    decoder = Decoder()
    assert [each.token for each in decoder.call(history=[], excluding=["b"], k=2)] == ["a", "d"]
    assert len(decoder.call(history=[], k=9)) == 4
    decoder.asked.clear()
    assert list(decoder.call(history=[], k=0)) == []
    assert list(decoder.call(history=[], excluding=["a", "b", "c", "d"])) == []
    assert decoder.asked == []
    with pytest.raises(CallError, match="history is missing"):
        decoder.call(k=0)


def test_what_the_model_forbids_is_not_listed() -> None:
    decoder = Decoder()
    given = decoder.run

    def run(function: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        outputs = dict(given(function, inputs))
        if "logits" in outputs:
            outputs["logits"][:, 0, 1] = -np.inf
        return outputs

    decoder.host.run = run
    assert [each.token for each in decoder.call(history=["a"])] == ["d", "c"], "a and b begin with 1"


def test_beams_are_run_in_the_batches_of_the_contract() -> None:
    decoder = Decoder(replace(CONTRACT, dims={"batch": Dim(min=2, max=2)}))
    decoder.call(history=["a"])
    assert [len(each["prefix"]) for name, each in decoder.asked if name == "decode"] == [2, 2, 2]
