"""A rule of the API vectors that is answered otherwise is found, and so is one that is none."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from tests.package.host.test_wordpiece import ALIKE
from tests.package.host.toys import Model, contract_of, history, scores

from pocketrec.contract import Signature, Tokenizer
from pocketrec.package.api import ApiVectors
from pocketrec.package.api_rules import replay_rules, rules_of
from pocketrec.package.host.items import Items
from pocketrec.package.host.wordpiece import tokenize

MODEL = Model(
    contract_of(Signature(inputs=(history(),), outputs=(scores(),))),
    word=Items("word", replace(ALIKE.spec, tokenizer=Tokenizer()), ALIKE.tokens),
)
HOST = replace(MODEL.host, tokenize=tokenize)
RULES: list[dict[str, Any]] = json.loads(json.dumps(list(rules_of(HOST))))
NAMES = sorted({each["rule"] for each in RULES})


def replayed(*rules: dict[str, Any]) -> str:
    return replay_rules(HOST, ApiVectors(schema=1, contract_sha256="", calls=(), rules=rules))


def test_the_rules_hold_as_their_file_has_them() -> None:
    assert NAMES == ["drawn", "edit_distance", "find", "sigmoid", "softmax", "tokenize", "top_k"]
    assert replayed(*RULES) == ""


@pytest.mark.parametrize("name", NAMES)
def test_another_answer_is_found(name: str) -> None:
    rule = next(each for each in RULES if each["rule"] == name and "answer" in each)
    assert f", {name}: " in replayed({**rule, "answer": 77})


def test_an_answer_in_place_of_an_error_is_found() -> None:
    rule = next(each for each in RULES if "error" in each)
    asked = {key: rule[key] for key in ("rule", "arguments")}
    assert replayed({**asked, "answer": [1]}) != ""
    assert "code is" in replayed({**asked, "error": {**rule["error"], "code": "bad_k"}})


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "given", [{}, {"scores": 1}, {"vocabulary": "no", "word": 7}, {"left": 1, "right": None}]
)
def test_arguments_that_are_none_of_the_rule_are_told(name: str, given: dict[str, Any]) -> None:
    assert replayed({"rule": name, "arguments": given, "answer": 0}) == (
        f"rules[0], {name}: its arguments are none of the rule; build the bundle again"
    )


def test_what_is_no_rule_and_no_rules_at_all_are_told() -> None:
    assert replayed({"rule": "no such"}) == "rules[0]: 'no such' is no rule; build the bundle again"
    assert replayed({"rule": ["top_k"], "arguments": {}}).startswith("rules[0]: ['top_k'] is no rule")
    assert replayed() == "holds no rule, so none is compared; build the bundle again"
