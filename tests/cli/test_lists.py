"""A command asks whatever lists items, hands on numbers as numbers, and prints what JSON can hold."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace
from typing import Any

import pytest

from pocketrec.cli.lists import argument_of, method_of, print_list, tell_unfounded
from pocketrec.errors import UsageError
from pocketrec.package.host.answers import Recommendation, Recommendations, Unknown

ROLES = ("recommend", "search", "generate")


def model(*methods: str) -> Any:
    """A model whose arguments are words where they are called so."""
    return SimpleNamespace(
        methods=dict.fromkeys(methods, ()), takes_words=lambda method, argument: argument == "words"
    )


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
    assert argument_of(model("recommend"), "recommend", stated) == (stated.partition("=")[0], value)


@pytest.mark.parametrize(
    ("history", "told"), [([], False), (["Alpa"], True), (["Alpa", "Alpa"], True), (["Alpa", "Beta"], False)]
)
def test_a_list_that_follows_from_no_known_item_is_told_as_such(
    history: list[str], told: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    tell_unfounded(history, Recommendations([], [Unknown(given="Alpa", near=("Alpha",))]))
    assert ("no item of the history is known" in capsys.readouterr().err) is told


def test_a_score_that_json_has_not_is_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    item = Recommendation(id=1, token="a", title="Alpha", score=math.inf, probability=0.5)
    print_list(Recommendations([item]), as_json=True)
    printed = json.loads(capsys.readouterr().out)
    assert printed["items"] == [{"id": 1, "token": "a", "title": "Alpha", "score": "inf", "probability": 0.5}]


@pytest.mark.parametrize("stated", ["price", "=3", "="])
def test_an_argument_without_a_name_is_none(stated: str) -> None:
    with pytest.raises(UsageError, match=f"--set '{stated}': expected NAME=VALUE"):
        argument_of(model("recommend"), "recommend", stated)


def test_a_page_of_text_that_is_no_item_is_named_by_its_beginning(capsys: pytest.CaptureFixture[str]) -> None:
    unknown = [Unknown(given="\x1b[2J" + "Q" * 100_000, near=("R" * 100_000, "an item"))]
    print_list(Recommendations((), unknown), as_json=False)
    said = capsys.readouterr().err
    assert said.startswith("unknown: '\\x1b[2JQQQ")
    assert said.endswith("R…' or 'an item'?\n")
    assert len(said) < 300
    assert (said.count("Q"), said.count("R")) == (76, 80)
