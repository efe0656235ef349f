"""The command asks whatever lists items, hands on numbers as numbers, and prints what JSON can hold."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest

from pocketrec.cli.recommend import _feature, _method, _print
from pocketrec.errors import UsageError
from pocketrec.package.host.answers import Recommendation, Recommendations


def model(*methods: str) -> Any:
    """A model whose arguments are words where they are called so."""
    return SimpleNamespace(
        methods=dict.fromkeys(methods, ()), takes_words=lambda method, argument: argument == "words"
    )


@pytest.mark.parametrize("method", ["recommend", "search", "generate", "recommend_main"])
def test_the_only_method_that_lists_items_is_asked(method: str) -> None:
    assert _method(model("rank", method), None) == method


def test_which_of_several_is_to_be_said() -> None:
    with pytest.raises(UsageError, match="--method is not given; expected one of search, generate"):
        _method(model("search", "generate"), None)
    with pytest.raises(UsageError, match="the bundle lists no items; it has rank, predict"):
        _method(model("rank", "predict"), None)


@pytest.mark.parametrize(
    ("stated", "value"),
    [
        ("words=7", "7"),
        ("words=true", "true"),
        ('words=["7"]', ["7"]),
        ("price=7", 7),
        ("price=-2.5e3", -2500.0),
        ("flag=true", True),
        ("price=[1, 2]", [1, 2]),
        ("price=cheap", "cheap"),
        ("price=", ""),
        ("price=a=b", "a=b"),
    ],
)
def test_what_stands_for_a_word_is_a_word_and_all_else_json(stated: str, value: Any) -> None:
    assert _feature(model("recommend"), "recommend", stated) == (stated.partition("=")[0], value)


def test_a_score_that_json_has_not_is_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    item = Recommendation(id=1, token="a", title="Alpha", score=math.inf, probability=0.5)
    _print(Recommendations([item]), True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["items"] == [{"id": 1, "token": "a", "title": "Alpha", "score": "inf", "probability": 0.5}]
