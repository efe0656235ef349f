"""The methods of an app's package: what a reader is told to pass is what the call takes."""

from __future__ import annotations

from dataclasses import replace

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.package.apps.methods import Method, methods_of


def ranker() -> Method:
    """A ranker whose calls take a user's age and recent genres beside the items."""
    click = Output(name="click", meaning="probability", dtype="float32", shape=("batch",))
    inputs = (
        Feature(name="item", kind="id", dtype="int32", shape=("batch",), vocabulary="item"),
        Feature(name="age", kind="id", dtype="int32", shape=("batch",), vocabulary="age"),
        Feature(name="genres", kind="id_bag", dtype="int32", shape=("batch", 6), vocabulary="genre"),
    )
    spec = VocabularySpec(size=9, padding_id=0, sha256="0" * 64)
    titled = replace(spec, titles_sha256="1" * 64)
    contract = Contract(
        functions={"main": Signature(inputs=inputs, outputs=(click,))},
        dims={"batch": Dim(min=1, max=4)},
        vocabularies={"item": titled, "age": spec, "genre": spec},
    )
    (method,) = methods_of(contract, members=())
    return method


def test_items_are_words_of_their_vocabulary_and_others_of_theirs() -> None:
    says = {each.name: each.says for each in ranker().candidate}
    assert says == {
        "item": "An item by token or title.",
        "age": "A word of `age`.",
        "genres": "Words of `genre`, the latest last; the last 6 count.",
    }


def test_an_example_of_plain_candidates_has_what_they_leave_out() -> None:
    assert [each.name for each in ranker().shown] == ["age", "genres", "candidates"]
