"""A build's API vectors are replayed on the artifacts of a target, each function on its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import pytest
from tests.package.host.toys import TITLES, TOKENS
from tests.package.tapes import CONTRACTS, SPELLINGS, Tape

from pocketrec.contract import Contract
from pocketrec.package.api_calls import api_vectors
from pocketrec.package.golden import GoldenIndex
from pocketrec.package.host.items import Items
from pocketrec.pipeline.api import replay_api
from pocketrec.pipeline.app import host_of
from pocketrec.validate.runtimes.runtime import Array, Description, contract_spec

CONTRACT = CONTRACTS["generate"]
VOCABULARIES = {
    "film": Items("film", CONTRACT.vocabularies["film"], TOKENS, TITLES, SPELLINGS),
    "code": Items("code", CONTRACT.vocabularies["code"], ("[pad]", "x", "y", "z")),
}
INDEX = GoldenIndex(schema=1, functions=("decode",), tolerances={"onnx": {"decode": {"logits": 1e-6}}})


class OneFunction:
    """An artifact that holds one function of a toy model; it refuses what another takes."""

    def __init__(self, contract: Contract, function: str) -> None:
        self._function, self._tape = function, Tape(contract=contract)
        signature = contract.functions[function]
        self._description = Description(
            runtime="toy",
            version="",
            precision="float32",
            compute_units="cpu",
            inputs=tuple(contract_spec(each, contract) for each in signature.inputs),
            outputs=tuple(contract_spec(each, contract) for each in signature.outputs),
        )

    def describe(self) -> Description:
        return self._description

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        assert set(inputs) == {each.name for each in self._description.inputs}
        return dict(self._tape.run(self._function, inputs))

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        pass


def test_generation_runs_the_encoders_own_artifact() -> None:
    """The functions of one call lie in artifacts of their own."""
    artifacts = {name: OneFunction(CONTRACT, name) for name in CONTRACT.functions}
    asked: list[str] = []

    def opened(function: str) -> Any:
        asked.append(function)
        return artifacts[function]

    def run(function: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        return artifacts[function].run(inputs)

    vectors = api_vectors(host_of(CONTRACT, VOCABULARIES, run))
    place = ("onnx", "decode")
    assert replay_api(opened, CONTRACT, VOCABULARIES, vectors, INDEX, place) == (len(vectors.calls), "")
    assert {"encode", "decode"} == set(asked)
    with pytest.raises(AssertionError):
        replay_api(lambda function: artifacts["decode"], CONTRACT, VOCABULARIES, vectors, INDEX, place)
