"""A command asks whatever lists items, hands on numbers as numbers, and prints what JSON can hold."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest

from pocketrec.cli.lists import method_of, print_list, tell_unfounded
from pocketrec.errors import UsageError
from pocketrec.package.host.answers import Recommendation, Recommendations, Unknown

ROLES = ("recommend", "search", "generate")


def model(*methods: str) -> Any:
    """A model that has these methods."""
    return SimpleNamespace(methods=dict.fromkeys(methods, ()))


@pytest.mark.parametrize("method", ["recommend", "search", "generate", "recommend_main"])
def test_the_only_method_that_lists_items_is_asked(method: str) -> None:
    assert method_of(model("rank", method), None, ROLES, "") == method


def test_which_of_several_is_to_be_said() -> None:
    with pytest.raises(UsageError, match="--method is not given; expected one of search, generate"):
        method_of(model("search", "generate"), None, ROLES, "")
    with pytest.raises(UsageError, match="the bundle lists no items; it has rank, predict"):
        method_of(model("rank", "predict"), None, ROLES, "the bundle lists no items")


@pytest.mark.parametrize(
    ("methods", "next_step"),
    [
        (["recommend", "embed"], r"it has recommend, embed, which pocketrec recommend asks$"),
        (["generate_main"], r"which pocketrec recommend asks$"),
        (["rank", "embed"], r"which pocketrec\.load\(BUNDLE\) has in Python$"),
        (["predict"], r"once the contract names the vocabulary of an output's scores$"),
    ],
)
def test_what_a_bundle_does_instead_is_told_with_how_it_is_asked(methods: list[str], next_step: str) -> None:
    with pytest.raises(UsageError, match=next_step):
        method_of(model(*methods), None, ("search",), "the bundle does not search by text")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"history": []}, "no history was given, so the list follows from the model alone"),
        ({"history": [], "age": "7", "k": 3}, "so the list follows from age alone; add --history ITEM"),
        ({"history": ["Alpa"]}, "no item of the history is known"),
        ({"history": ["Alpa", "Alpa"]}, "no item of the history is known"),
        ({"history": ["Alpa", "Beta"]}, ""),
        ({"history": "Alpa"}, ""),  # which the call refuses
        ({"text": "Alpa"}, ""),
    ],
)
def test_a_list_that_follows_from_no_history_is_told_as_such(
    given: dict[str, Any], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_unfounded(given, Recommendations([], [Unknown(given="Alpa", near=("Alpha",))]))
    printed = capsys.readouterr()
    assert printed.out == ""
    assert said in printed.err
    assert printed.err.count("\n") == bool(said)


def test_a_word_that_nothing_is_near_is_told_with_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = [Unknown(given="25"), Unknown(given="Alpa", near=("Alpha",)), Unknown(given="x")]
    choices = {"25": "age is one of 18-24, 25-34", "Alpa": "history is one of many"}
    print_list(Recommendations((), unknown), choices=choices, as_json=True)
    assert capsys.readouterr().err.splitlines() == [
        "unknown: '25'; age is one of 18-24, 25-34",
        "unknown: 'Alpa'; did you mean 'Alpha'?",
        "unknown: 'x'",
    ]


def test_a_score_that_json_has_not_is_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    item = Recommendation(id=1, token="a", title="Alpha", score=math.inf, probability=0.5)
    print_list(Recommendations([item]), as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["items"] == [{"id": 1, "token": "a", "title": "Alpha", "score": "inf", "probability": 0.5}]


def test_a_page_of_text_that_is_no_item_is_named_by_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = [Unknown(given="\x1b[2J" + "Q" * 100_000, near=("R" * 100_000, "an item"))]
    print_list(Recommendations((), unknown), as_json=False)
    said = capsys.readouterr().err
    assert said.startswith("unknown: '\\x1b[2JQQQ")
    assert said.endswith("R…' or 'an item'?\n")
    assert len(said) < 300
    assert (said.count("Q"), said.count("R")) == (76, 80)
