"""What a function is called for shows in its kinds and meanings, unless it says so."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.package.host.toys import FILMS, contract_of, history, scores

from pocketrec.contract import Contract, Dim, Feature, Output, Role, Signature, Tokenizer, VocabularySpec
from pocketrec.errors import ContractError
from pocketrec.package.host.roles import calls_of, items_of, role_of

FILM = Feature(name="film", kind="id", shape=("batch",), vocabulary="film", out_of_vocabulary="unknown")
USER = Feature(name="user", kind="id", shape=("batch",), vocabulary="user")
AGE = Feature(name="age", kind="dense", dtype="float32", shape=("batch",))
WORDS = Feature(name="words", kind="id_sequence", shape=("batch", "length"), vocabulary="word")
NUMBER = Output(name="click", meaning="probability", shape=("batch",))
VECTOR = Output(name="vector", meaning="embedding", shape=("batch", 4))
PLACES = Output(name="places", meaning="score", shape=("batch", "length"))
IDS = Output(name="ids", meaning="top_k_ids", dtype="int32", shape=("batch", 3), vocabulary="film")
MORE = {
    "vocabularies": {
        "film": FILMS,
        "user": VocabularySpec(size=9),
        "word": VocabularySpec(size=9, padding_id=0, tokenizer=Tokenizer()),
    }
}


def made(inputs: tuple[Feature, ...], outputs: tuple[Output, ...], **more: Any) -> Contract:
    return contract_of(Signature(inputs=inputs, outputs=outputs, **more), **MORE)


@pytest.mark.parametrize(
    ("inputs", "outputs", "role", "arguments"),
    [
        ((history(),), (scores(),), "recommend", ("history", "k", "excluding")),
        ((history(name="films"), AGE), (IDS,), "recommend", ("history", "age", "k", "excluding")),
        ((AGE,), (scores(),), "recommend", ("age", "k", "excluding")),
        ((WORDS,), (scores(),), "search", ("text", "k", "excluding")),
        ((WORDS,), (VECTOR,), "embed", ("text",)),
        ((history(),), (VECTOR,), "embed", ("history",)),
        ((history(),), (PLACES,), "arrange", ("candidates", "k")),
        ((USER, FILM, AGE), (NUMBER,), "rank", ("user", "age", "candidates")),
        ((USER, AGE), (NUMBER,), "predict", ("user", "age")),
    ],
)
def test_a_role_is_inferred(
    inputs: tuple[Feature, ...], outputs: tuple[Output, ...], role: Role, arguments: tuple[str, ...]
) -> None:
    contract = made(inputs, outputs)
    assert role_of(contract, "main") == role
    call = calls_of(contract)[role]
    assert call.names == arguments


def test_a_stated_role_and_stated_items_win() -> None:
    decides = made((AGE,), (scores(),), role="decide")
    assert calls_of(decides)["decide"].names == ("age", "draw")
    users = made((USER, FILM), (NUMBER,), items="user")
    assert items_of(users, "main") == "user"
    assert calls_of(users)["rank"].candidate == "user"


@pytest.mark.parametrize(
    ("role", "needs"),
    [
        ("embed", "an output that is an embedding"),
        ("search", "text and scores over a vocabulary"),
        ("rank", "an id of an item and one number a row"),
        ("arrange", "a sequence of items and a score for each of its places"),
        ("generate", "items that are spelled"),
    ],
)
def test_a_role_that_does_not_fit_is_named_with_what_it_needs(role: Role, needs: str) -> None:
    with pytest.raises(ContractError, match=rf"function main: role is '{role}', which needs {needs}"):
        calls_of(made((history(),), (scores(),), role=role))


def test_functions_of_one_role_are_told_apart_by_their_names() -> None:
    one = Signature(inputs=(history(),), outputs=(VECTOR,))
    contract = made((history(),), (scores(),))
    two = replace(contract, functions={"user": one, "item": one, "main": contract.functions["main"]})
    assert set(calls_of(two)) == {"embed_user", "embed_item", "recommend"}


def test_masks_lengths_and_states_are_filled_and_a_feature_called_like_an_option_gets_another_name() -> None:
    mask = Feature(name="mask", kind="mask", dtype="float32", shape=("batch", "length"))
    length = Feature(name="size", kind="length", shape=("batch",))
    state = Feature(name="hidden", kind="state", dtype="float32", shape=(1, "batch", 2))
    following = Output(name="next", meaning="state", shape=(1, "batch", 2), updates="hidden")
    k = replace(AGE, name="k")
    call = calls_of(made((history(), mask, length, state, k), (scores(), following)))["recommend"]
    assert call.filled == ("mask", "size", "hidden")
    assert dict(call.arguments) == {"history": "history", "k_feature": "k"}


def test_a_mask_that_no_sequence_explains_is_an_argument() -> None:
    mask = Feature(name="shown", kind="mask", dtype="float32", shape=("batch", 7))
    assert "shown" in calls_of(made((history(), mask), (scores(),)))["recommend"].names


def test_a_contract_without_rows_is_read_too() -> None:
    alone = history(shape=("length",))
    contract = contract_of(
        Signature(inputs=(alone,), outputs=(scores(shape=(6,)),)), dims={"length": Dim(max=3)}
    )
    assert role_of(contract, "main") == "recommend"


def test_two_features_never_become_one_argument() -> None:
    numbers = [replace(AGE, name=each) for each in ("k", "k_feature", "candidates")]
    listed = calls_of(made((history(), *numbers), (scores(),)))["recommend"]
    assert dict(listed.arguments) == {
        "history": "history",
        "k_feature_feature": "k",
        "k_feature": "k_feature",
        "candidates": "candidates",
    }
    page = calls_of(made((history(name="slate"), *numbers[2:]), (PLACES,)))["arrange"]
    assert dict(page.arguments) == {"candidates": "slate", "candidates_feature": "candidates"}
