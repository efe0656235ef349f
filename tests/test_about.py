"""What a model says of itself: each sentence, and its opposite, where the contract says the opposite."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pocketrec.about import (
    About,
    describe_function,
    describe_input,
    describe_model,
    describe_output,
    describe_state,
)
from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.errors import RecipeError, UsageError
from pocketrec.recipe import Recipe
from pocketrec.schema import from_table

HISTORY = Feature(
    name="history",
    kind="id_sequence",
    shape=("batch", "length"),
    vocabulary="film",
    padding_side="left",
    out_of_vocabulary="padding",
)
SCORES = Output(name="scores", meaning="score", shape=("batch", 90), vocabulary="film")


def contract_of(*inputs: Feature, outputs: tuple[Output, ...] = (SCORES,), **film: Any) -> Contract:
    spec = VocabularySpec(**{"size": 90, "padding_id": 0, "unknown_id": 1, **film})
    return Contract(
        functions={"main": Signature(inputs=inputs, outputs=outputs)},
        dims={"batch": Dim(max=16), "length": Dim(max=20)},
        vocabularies={"film": spec},
    )


def said(feature: Feature, *others: Feature, sizes: Any = None, **film: Any) -> str:
    contract = contract_of(feature, *others, **film)
    return describe_input(feature, contract.functions["main"], contract, sizes)


def test_a_sequence_says_its_ids_its_length_its_padding_and_what_strange_ids_become() -> None:
    assert said(HISTORY, sizes=[(1, 1), (20, 20)]) == (
        "Ids in order of the vocabulary film, 0 to 89, int32. Shape 1 × 20 (batch × length). "
        "Exactly 20 ids a row; a shorter one is filled on the left with the padding id 0. "
        "An id from outside of the vocabulary becomes the padding id 0."
    )


def test_without_an_artifact_it_says_what_the_contract_allows() -> None:
    assert "Shape 1...16 × 1...20 (batch × length). 1 to 20 ids a row;" in said(HISTORY)


@pytest.mark.parametrize(
    ("change", "film", "sentence"),
    [
        ({"padding_side": "right"}, {}, "a shorter one is filled on the right with the padding id 0."),
        ({"padding_side": None}, {"padding_id": 7}, "filled on the right with the padding id 7."),
        (
            {"padding_side": None, "out_of_vocabulary": "unknown"},
            {"padding_id": None},
            "Exactly 20 ids a row; nothing pads a shorter one.",
        ),
        ({"out_of_vocabulary": "unknown"}, {}, "outside of the vocabulary becomes the unknown id 1."),
        ({"out_of_vocabulary": "forbid"}, {}, "Pass no id from outside of the vocabulary: nothing guards"),
        ({"kind": "id_bag"}, {}, "Ids in any order of the vocabulary film"),
    ],
)
def test_what_the_contract_says_otherwise_reads_otherwise(
    change: dict[str, Any], film: dict[str, Any], sentence: str
) -> None:
    text = said(replace(HISTORY, **change), sizes=[(1, 1), (20, 20)], **film)
    assert sentence in text
    assert sentence not in said(HISTORY, sizes=[(1, 1), (20, 20)])


def test_one_id_has_no_length() -> None:
    user = Feature(name="user", kind="id", shape=("batch",), vocabulary="film", out_of_vocabulary="unknown")
    assert said(user, sizes=[(1, 1)]) == (
        "Id of the vocabulary film, 0 to 89, int32. Shape 1 (batch). "
        "An id from outside of the vocabulary becomes the unknown id 1."
    )


def test_numbers_say_their_unit_their_range_and_the_sequence_that_they_run_along() -> None:
    ages = Feature(
        name="ages", kind="dense", dtype="float32", shape=("batch", "length"), unit="days", maximum=365
    )
    assert said(ages, HISTORY) == (
        "Numbers in days, float32. Shape 1...16 × 1...20 (batch × length). One for each id of history; "
        "0 where that is filled. Tried from 0 to 365."
    )
    alone = replace(ages, shape=("batch", 3), unit="", dtype="int32")
    assert said(alone, HISTORY) == "Whole numbers, int32. Shape 1...16 × 3 (batch × 3). Tried from 0 to 365."


@pytest.mark.parametrize(
    ("feature", "text"),
    [
        (Feature(name="m", kind="mask", shape=(2, 3)), "Mask, int32: 1 where an entry counts, 0 where it"),
        (
            Feature(name="m", kind="mask", dtype="bool", shape=(2, 3)),
            "Mask, bool: true where an entry counts, false where it only fills. Shape 2 × 3.",
        ),
        (Feature(name="n", kind="length", shape=("batch",)), "How many entries count, int32. Shape 1...16"),
        (Feature(name="t", kind="dense", dtype="float32", shape=()), "Numbers, float32. One number."),
    ],
)
def test_masks_lengths_and_single_numbers(feature: Feature, text: str) -> None:
    assert said(feature).startswith(text)


def test_a_state_is_handed_on_by_the_caller_or_kept_by_the_model() -> None:
    state = Feature(name="hidden", kind="state", dtype="float32", shape=(1, 8))
    after = Output(name="hidden_after", meaning="state", shape=(1, 8), updates="hidden")
    contract = contract_of(state, outputs=(SCORES, after))
    assert describe_input(state, contract.functions["main"], contract) == (
        "State, float32: zeros at first, then what hidden_after was in the last call. Shape 1 × 8."
    )
    assert describe_output(after, contract) == (
        "The next value of the state hidden, float32: pass it as that input in the next call. Shape 1 × 8."
    )
    assert describe_state(state, contract) == (
        "State that the model keeps from call to call, zeros at first. Shape 1 × 8."
    )


@pytest.mark.parametrize(
    ("output", "text"),
    [
        (
            replace(SCORES, unit="stars"),
            "Scores of the vocabulary film in stars, more is better, float32. "
            "Shape 1...16 × 90 (batch × 90). Place n of the last axis belongs to id n. "
            "Id 0 is padding, no item. Id 1 is unknown, no item.",
        ),
        (
            Output(name="p", meaning="probability", shape=("batch",)),
            "Probabilities from 0 to 1, float32. Shape 1...16 (batch).",
        ),
        (Output(name="e", meaning="embedding", shape=(1, 4)), "An embedding, float32. Shape 1 × 4."),
        (
            Output(name="ids", meaning="top_k_ids", dtype="int32", shape=(1, 5), vocabulary="film"),
            "Ids of the vocabulary film, best first, int32. Shape 1 × 5. Id 0 is padding, no item. "
            "Id 1 is unknown, no item.",
        ),
        (Output(name="s", meaning="top_k_scores", shape=(1, 5)), "Scores, best first, float32. Shape 1 × 5."),
    ],
)
def test_an_output_says_what_it_means_and_which_place_is_whose(output: Output, text: str) -> None:
    assert describe_output(output, contract_of(HISTORY, outputs=(output,))) == text


def test_candidates_scores_are_not_said_to_lie_at_their_ids() -> None:
    few = replace(SCORES, shape=("batch", 5))
    assert "Place n" not in describe_output(few, contract_of(HISTORY, outputs=(few,)))


def test_a_model_says_its_makers_words_then_what_its_function_takes() -> None:
    contract = contract_of(HISTORY)
    assert describe_model(About(description="For films."), contract, "main") == (
        "For films.\n\nFunction main takes history and gives scores."
    )
    assert describe_model(About(), contract, "main") == describe_function(contract, "main")
    two = replace(contract, functions={**contract.functions, "other": contract.functions["main"]})
    assert describe_function(two, "main").endswith("gives scores. Its other functions: other.")


@pytest.mark.parametrize("bad", ["\ud800", "a\0b", 3])
def test_what_is_no_text_is_refused_by_name(bad: Any) -> None:
    with pytest.raises(UsageError, match=r"about: author is .*; expected text without zero bytes"):
        About(author=bad)


def test_a_recipe_says_it_by_its_own_keys() -> None:
    table = {
        "schema": 1,
        "name": "films",
        "version": "2.1",
        "model": {"factory": "model.py:make", "example": "example.npz"},
        "evaluate": {"data": "data.py:test", "kind": "ranking", "output": "scores"},
        "targets": {"coreml": {}},
        "description": "For films.",
        "author": "A. Person",
        "license": "MIT",
    }
    assert from_table(Recipe, table, source="recipe.toml").about == About(
        version="2.1", description="For films.", author="A. Person", license="MIT"
    )
    with pytest.raises(RecipeError, match=r"license is 'a.x00b'; expected text without zero bytes"):
        from_table(Recipe, {**table, "license": "a\0b"}, source="recipe.toml")
