"""Whatever an app asks and a model gives, the Swift host answers or refuses it with a code."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from tests.package.host.toys import TITLES, TOKENS, Model
from tests.package.swift.conftest import Harness, write_vocabulary
from tests.package.tapes import CONTRACTS, SPELLINGS

from pocketrec.contract import Contract
from pocketrec.errors import CallError

pytestmark = pytest.mark.swift
WORDS = {"tokens": TOKENS, "titles": TITLES, "spellings": SPELLINGS}
HUGE = 10**30  # no 64-bit integer holds it
ODD: tuple[Any, ...] = (
    *(None, True, 7, -1, 1.5, 2**31, -(2**31) - 1, 2**63, HUGE, -HUGE, 1e300, "NaN", "Infinity", "-Infinity"),
    *(
        "",
        "a",
        "\0",
        "x" * 1000,
        [],
        [[]],
        [None],
        ["a"] * 9,
        [7],
        ["NaN"],
        [[["a"]]],
        {},
        {"film": "a"},
        [{}],
    ),
)
ROLES = ("recommend", "rank", "decide", "predict", "arrange")
NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def spelled_out(value: Any) -> Any:
    if isinstance(value, list):
        return [spelled_out(each) for each in value]
    if isinstance(value, dict):
        return {key: spelled_out(each) for key, each in value.items()}
    return NUMBERS.get(value, value) if isinstance(value, str) else value


def base(name: str) -> dict[str, Any]:
    """Arguments that the model takes."""
    found: dict[str, dict[str, Any]] = {
        "recommend": {"history": ["a", "b"], "stars": [1, 2], "k": 3, "excluding": ["c"]},
        "rank": {"candidates": ["a", {"film": "b"}], "weight": 1, "history": ["a"]},
        "decide": {"weight": 1, "draw": 0.5},
        "predict": {"weight": 1, "hour": 3, "grid": [[0, 0, 0], [0, 0, 0]]},
        "arrange": {"candidates": ["a", "b"], "k": 2},
    }
    return found[name]


def asked(name: str) -> list[dict[str, Any]]:
    """Every argument replaced by everything odd, and one that there is not."""
    given = base(name)
    changed = [{**given, key: odd} for key in given for odd in ODD]
    return [{"method": name, "arguments": each} for each in [given, *changed, {**given, "other": 1}]]


def outputs_of(contract: Contract) -> dict[str, tuple[int, ...]]:
    sizes = {"batch": 4, "length": 3}
    found = contract.functions["main"].outputs
    return {
        each.name: tuple(sizes[size] if isinstance(size, str) else size for size in each.shape)
        for each in found
    }


def odd_outputs(contract: Contract) -> dict[str, Any]:
    """What a model gives that keeps to no contract, by what is odd about it."""
    shapes = outputs_of(contract)
    found: dict[str, Any] = {
        "none": {},
        "no row": {key: {"shape": [0, *shape[1:]], "number": 0} for key, shape in shapes.items()},
        "one number": {key: {"shape": [1], "number": 0} for key, shape in shapes.items() if len(shape) > 1},
    }
    for number in (*NUMBERS, 1e300):
        found[str(number)] = {key: {"shape": shape, "number": number} for key, shape in shapes.items()}
    return found


def in_python(name: str) -> list[str]:
    """What the reference says, to a model that gives zeros."""
    given = {key: np.zeros(shape) for key, shape in outputs_of(CONTRACTS[name]).items()}
    host, found = Model(CONTRACTS[name], given).host, []
    for each in asked(name):
        try:
            host.call(each["method"], spelled_out(each["arguments"]))
            found.append("answered")
        except CallError as error:
            found.append(error.code)
    return found


@pytest.fixture(scope="module")
def found(harness: Harness, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the compiled Swift says to every call of every role, by role and by what its model gives."""
    folder, given = tmp_path_factory.mktemp("hostile"), {}
    write_vocabulary(folder, "film", WORDS)
    for name in ROLES:
        contract = CONTRACTS[name]
        zeros = {key: {"shape": shape, "number": 0} for key, shape in outputs_of(contract).items()}
        calls = [{"method": name, "arguments": base(name)}]
        given[name] = {"contract": contract.to_dict(), "calls": asked(name), "outputs": zeros}
        for what, outputs in odd_outputs(contract).items():
            given[f"{name}, {what}"] = {"contract": contract.to_dict(), "calls": calls, "outputs": outputs}
    return harness("ask", folder, given)


@pytest.mark.filterwarnings("ignore:overflow encountered in cast")
@pytest.mark.parametrize("name", ROLES)
def test_odd_arguments_are_refused_as_in_python(name: str, found: dict[str, Any]) -> None:
    differ = [
        (each["arguments"], came, expected)
        for each, came, expected in zip(asked(name), found[name], in_python(name), strict=True)
        # A language without whole numbers of their own takes 1e300 for one.
        if came != expected and 1e300 not in each["arguments"].values()
    ]
    assert differ == []
    assert found[name][0] == "answered"


@pytest.mark.parametrize("name", ROLES)
def test_outputs_that_are_not_as_the_contract_says_are_refused(name: str, found: dict[str, Any]) -> None:
    said = {what: found[f"{name}, {what}"][0] for what in odd_outputs(CONTRACTS[name])}
    for what in ("none", "no row", "one number"):
        assert said.pop(what) == "bad_output", what
    assert set(said.values()) <= {"answered", "bad_score"}
    assert said["NaN"] == ("answered" if name == "predict" else "bad_score")
