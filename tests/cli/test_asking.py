"""A call from the command line is mended by what its refusal says: options, and the words that there are."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from tests.package.host.toys import Model, contract_of, films, history, scores

from pocketrec.cli.asking import argument_of, ask, choices_of
from pocketrec.contract import Feature, Signature, VocabularySpec
from pocketrec.errors import CallError, UsageError
from pocketrec.package.host.items import Items
from pocketrec.pipeline.app import Recommender

AGES = VocabularySpec(size=3, unknown_id=0, sha256="0")
AGE = Feature(name="age", kind="id", shape=("batch",), vocabulary="age", out_of_vocabulary="unknown")
SHELVES = Feature(
    name="shelves",
    kind="id_bag",
    shape=("batch", 2),
    vocabulary="film",
    padding_side="right",
    out_of_vocabulary="padding",
)
PRICE = Feature(name="price", kind="dense", dtype="float32", shape=("batch",))
PLACE = Feature(name="place", kind="dense", dtype="float32", shape=("batch", 4))
KNOWN = {"history": ["a"], "age": "18-24", "shelves": ["a"], "price": 1.0, "place": [0.5] * 4}


def asked(age: Feature = AGE, ages: tuple[str, ...] = ("<unknown>", "under 18", "18-24")) -> Recommender:
    """A bundle of films for a history, an age, shelves, a price and a place."""
    spec = AGES if len(ages) == AGES.size else VocabularySpec(size=len(ages), unknown_id=0, sha256="0")
    signature = Signature(inputs=(history(), age, SHELVES, PRICE, PLACE), outputs=(scores(),))
    contract = contract_of(signature, vocabularies={"film": films().spec, "age": spec})
    model = Model(contract, {"scores": [[9.0, 1.0, 3.0, 3.0, 2.0, 8.0]]}, age=Items("age", spec, ages))
    made = Recommender.__new__(Recommender)
    made.__dict__.update(_host=model.host, _states=None)
    return made


def refusal(model: Recommender, **given: Any) -> str:
    with pytest.raises(CallError) as error:
        ask(model, "recommend", given)
    return str(error.value)


def test_what_is_missing_is_told_with_the_options_that_give_it() -> None:
    assert refusal(asked(), history=["a"]) == (
        "age is missing; pass a token or a title, such as --set 'age=under 18' --set 'shelves=[\"a\"]' "
        "--set price=NUMBER --set place=[NUMBER,…]"
    )
    lacking = {name: each for name, each in KNOWN.items() if name != "price"}
    assert refusal(asked(), **lacking) == "price is missing; pass a number, such as --set price=NUMBER"


def test_an_example_is_of_words_that_the_model_knows() -> None:
    assert "--set age=2" in refusal(asked(ages=("?", "2", "1")), history=["a"])


def test_a_mistyped_argument_is_told_with_the_one_that_was_meant() -> None:
    said = refusal(asked(), **KNOWN, agge="18-24")
    assert said.startswith(
        "agge is no argument of recommend; expected history, age, shelves, price, place, k"
    )
    assert said.endswith("; did you mean 'age'?")
    assert "mean" not in refusal(asked(), **KNOWN, zzz=1)


def test_a_refused_word_is_told_with_the_words_that_there_are() -> None:
    strict = asked(Feature(name="age", kind="id", shape=("batch",), vocabulary="age"))
    said = refusal(strict, **{**KNOWN, "age": "25"})
    assert said.endswith("pass a token or a title; age is one of under 18, 18-24")


def test_other_mistakes_are_told_as_they_are() -> None:
    assert refusal(asked(), **{**KNOWN, "price": "much"}) == 'price is "much"; expected a finite number'
    assert len(ask(asked(), "recommend", KNOWN)) == 4  # type: ignore[arg-type]  # the role lists items


def test_only_words_of_short_vocabularies_are_listed() -> None:
    given = {**KNOWN, "age": "25", "history": ["a", "no film"], "k": 3}
    assert choices_of(asked(), "recommend", given) == {
        "25": "age is one of under 18, 18-24",
        "no film": "history is one of Alpha, Same, Same, d",
    }
    many = asked(ages=("?", *(f"{number} years" for number in range(40))))
    assert "25" not in choices_of(many, "recommend", given)


def words(*methods: str) -> Any:
    """A model whose arguments are words where they are called so."""
    return SimpleNamespace(
        methods=dict.fromkeys(methods, ()), takes_words=lambda method, argument: argument == "words"
    )


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
    assert argument_of(words("recommend"), "recommend", stated) == (stated.partition("=")[0], value)


@pytest.mark.parametrize("stated", ["price", "=3", "="])
def test_an_argument_without_a_name_is_none(stated: str) -> None:
    with pytest.raises(UsageError, match=f"--set '{stated}': expected NAME=VALUE"):
        argument_of(words("recommend"), "recommend", stated)
