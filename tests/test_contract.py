"""A contract cannot contradict itself, and says everything that the stages ask it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, Vocabulary, VocabularySpec
from pocketrec.errors import ContractError
from pocketrec.schema import from_table

HISTORY: dict[str, Any] = {
    "name": "history",
    "kind": "id_sequence",
    "shape": ("batch", "length"),
    "vocabulary": "item",
    "padding_side": "left",
    "out_of_vocabulary": "unknown",
}
SCORES: dict[str, Any] = {"name": "scores", "meaning": "score", "shape": ("batch", 9), "vocabulary": "item"}
ITEM: dict[str, Any] = {"size": 9, "padding_id": 0, "unknown_id": 8}


def contract(
    feature: dict[str, Any] | None = None,
    output: dict[str, Any] | None = None,
    item: dict[str, Any] | None = None,
) -> Contract:
    signature = Signature(
        inputs=(Feature(**HISTORY | (feature or {})),), outputs=(Output(**SCORES | (output or {})),)
    )
    return Contract(
        functions={"main": signature},
        dims={"batch": Dim(max=8), "length": Dim(min=2, max=50)},
        vocabularies={"item": VocabularySpec(**ITEM | (item or {}))},
    )


def test_what_the_stages_ask() -> None:
    whole = contract()
    history = whole.functions["main"].input("history")
    assert whole.bounds("length") == (2, 50)
    assert whole.bounds(3) == (3, 3)
    assert whole.guard_id(history) == 8
    assert whole.padding_value(history) == 0
    assert contract({"out_of_vocabulary": "padding"}).guard_id(history) == 8
    assert contract({"out_of_vocabulary": "forbid"}).functions["main"].names == ["history", "scores"]


def test_it_survives_json_and_its_hash_follows_its_content() -> None:
    whole = contract()
    again = from_table(Contract, whole.to_dict(), source="contract.json")
    assert again == whole
    assert again.sha256() == whole.sha256() != contract(item={"size": 10}).sha256()


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"feature": {"name": "var 38"}}, "input 'var 38': expected letters, digits"),
        ({"feature": {"shape": ("batch", "lenght")}}, r"dim 'lenght' is not in \[contract.dims\]"),
        ({"feature": {"shape": ("batch", 0)}}, "size 0 in shape; expected 1 to 2147483647"),
        ({"feature": {"vocabulary": "film"}}, "vocabulary 'film' is not in .*known: item"),
        ({"feature": {"vocabulary": None}}, "kind 'id_sequence' takes a vocabulary"),
        ({"feature": {"shape": ()}}, "an id_sequence has an axis of entries"),
        ({"feature": {"shape": (), "kind": "id_bag"}}, "an id_bag has an axis of entries"),
        ({"feature": {"kind": "dense"}}, "kind 'dense' takes no vocabulary"),
        ({"feature": {"dtype": "float32"}}, "ids are int32 on every target, not float32"),
        ({"feature": {"minimum": 2.0}}, "minimum 2.0 is above maximum 1.0"),
        ({"item": {"unknown_id": None}}, "has no unknown_id; add it or use 'forbid'"),
        ({"item": {"unknown_id": 9}}, r"unknown_id 9: expected 0\.\.8"),
        ({"item": {"size": 2**31}}, "ids are int32"),
        ({"output": {"name": "history"}}, "share the name 'history'"),
        ({"feature": {"dtype": "int64"}}, "ids are int32 on every target, not int64"),
        ({"output": {"meaning": "top_k_ids"}}, "top_k_ids cannot be float32"),
        ({"output": {"dtype": "int64"}}, "score cannot be int64; ids are int32 or int64"),
        ({"output": {"vocabulary": "film"}}, "main, scores: vocabulary 'film'"),
    ],
)
def test_a_contradiction_is_named(changed: dict[str, Any], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        contract(**changed)


def test_padding_needs_a_padding_id() -> None:
    with pytest.raises(ContractError, match="padded, but vocabulary 'item' has no padding_id"):
        contract(item={"padding_id": None})


def test_a_token_is_one_line() -> None:
    assert Vocabulary(tokens=("a", "é")).to_bytes() == "a\né\n".encode()
    with pytest.raises(ContractError, match=r"token 1 .* holds a line break"):
        Vocabulary(tokens=("a", "b\nc")).to_bytes()


def test_keys_that_came_later_change_no_digest_where_they_say_nothing() -> None:
    """Bundles of earlier releases carry the digest of their contract in every artifact."""
    whole = contract()
    table = whole.to_dict()
    later = {"role", "items", "titles_sha256", "spelled_in", "spellings_sha256", "tokenizer"}
    assert not [key for each in table["functions"].values() for key in later & each.keys()]
    assert not [key for each in table["vocabularies"].values() for key in later & each.keys()]
    stated = replace(whole, functions={"main": replace(whole.functions["main"], role="recommend")})
    assert stated.to_dict()["functions"]["main"]["role"] == "recommend"
    assert stated.sha256() != whole.sha256()
    assert from_table(Contract, stated.to_dict(), source="contract.json") == stated


def test_vocabularies_that_are_pointed_at_exist() -> None:
    with pytest.raises(ContractError, match=r"vocabulary item, spelled_in: vocabulary 'code' is not in"):
        contract(item={"spelled_in": "code"})
    signature = replace(contract().functions["main"], items="film")
    with pytest.raises(ContractError, match=r"function main, items: vocabulary 'film' is not in"):
        replace(contract(), functions={"main": signature})
