"""A model called in an app's words: what it is given, and what comes back."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from tests.package.host.toys import FILMS, Model, contract_of, history, scores

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, Tokenizer, VocabularySpec
from pocketrec.errors import CallError
from pocketrec.package.host.answers import Recommendations, Unknown, plain
from pocketrec.package.host.items import Items

SCORES = [9.0, 1.0, 3.0, 3.0, -math.inf, 8.0]  # of padding, a, b, c, d and the unknown
FILM = Feature(name="film", kind="id", shape=("batch",), vocabulary="film", out_of_vocabulary="unknown")
WEIGHT = Feature(name="weight", kind="dense", dtype="float32", shape=("batch",))
CLICK = Output(name="click", meaning="logit", shape=("batch",))
BUY = Output(name="buy", meaning="score", shape=("batch", 1))


def recommender(feature: Feature | None = None, out: Output | None = None, **more: Any) -> Model:
    signature = Signature(inputs=(feature or history(),), outputs=(out or scores(),))
    return Model(contract_of(signature, **more), {"scores": [SCORES]})


def ids(found: Any) -> list[int]:
    assert isinstance(found, Recommendations)
    return [each.id for each in found]


def refusal(model: Model, method: str, **arguments: Any) -> tuple[str, str]:
    with pytest.raises(CallError) as error:
        model.host.call(method, arguments)
    return error.value.code, str(error.value)


def test_the_best_are_listed_without_what_is_set_aside_and_ties_go_to_the_lower_id() -> None:
    model = recommender()
    found = model.host.call("recommend", {"history": ["Alpha"]})
    assert plain(found) == {
        "items": [
            {"id": 2, "token": "b", "title": "Same", "score": 3.0},
            {"id": 3, "token": "c", "title": "Same", "score": 3.0},
            {"id": 1, "token": "a", "title": "Alpha", "score": 1.0},
        ]
    }
    assert model.inputs[0]["history"].tolist() == [[0, 1]], "padded on the left to the least length"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ([], [0, 0, 0]),  # padding alone is as long as there may be
        (["no film"], [0, 0, 0]),
        (["a"], [0, 1]),
        (["a", "a"], [1, 1]),
        (["a", "b", "c", "d"], [2, 3, 4]),  # the most recent three
        (["no film", "a"], [0, 1]),  # what is unknown pads, in its place
        (["a", "no film"], [1, 0]),
        (["<unk>", "a"], [0, 1]),  # what is set aside is no item
    ],
)
def test_a_history_is_looked_up_cut_and_padded(given: list[str], expected: list[int]) -> None:
    model = recommender()
    model.host.call("recommend", {"history": given})
    assert model.inputs[0]["history"].tolist() == [expected]
    right = recommender(history(padding_side="right"))
    right.host.call("recommend", {"history": ["a"]})
    assert right.inputs[0]["history"].tolist() == [[1, 0]]


def test_unknown_words_are_named_once_with_what_they_may_have_been() -> None:
    model = recommender()
    found = model.host.call("recommend", {"history": ["Alpa", "no film", "Alpa"]})
    assert isinstance(found, Recommendations)
    assert found.unknown == (Unknown(given="Alpa", near=("Alpha",)), Unknown(given="no film"))
    other = recommender(history(out_of_vocabulary="unknown"))
    other.host.call("recommend", {"history": ["no film"]})
    assert other.inputs[0]["history"].tolist() == [[0, 5]]
    strict = recommender(history(out_of_vocabulary="forbid"))
    assert refusal(strict, "recommend", history=["Alpa"]) == (
        "unknown_item",
        '"Alpa" is no item of "film"; did you mean "Alpha"? pass a token or a title',
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"k": 1}, [2]),
        ({"k": 0}, []),
        ({"excluding": ["b"]}, [3, 1]),
        ({"excluding": ["Alpha", "no film"], "k": 9}, [2, 3]),
        ({"excluding": ["a", "b", "c"]}, []),
        ({"excluding": None, "k": None}, [2, 3, 1]),
    ],
)
def test_k_and_excluding(arguments: dict[str, Any], expected: list[int]) -> None:
    assert ids(recommender().host.call("recommend", {"history": ["a"], **arguments})) == expected


def test_nothing_is_run_where_nothing_is_asked_for_but_a_mistake_is_told() -> None:
    model = recommender()
    model.host.call("recommend", {"history": ["a"], "k": 0})
    assert not model.inputs
    assert refusal(model, "recommend", history=[7], k=0)[0] == "wrong_type"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ({}, "missing_feature", "history is missing; pass a list of items"),
        ({"history": "a"}, "wrong_type", 'history is "a"; expected a list of items'),
        ({"history": [1]}, "wrong_type", "history[0] is 1; expected a token or a title"),
        (
            {"history": ["Same"]},
            "ambiguous_title",
            '"Same" is the title of 2 items: b, c; pass a token',
        ),
        (
            {"histroy": ["a"]},
            "unknown_feature",
            "histroy is no argument of recommend; expected history, k, excluding",
        ),
        ({"history": ["a"], "k": -1}, "bad_k", "k is -1; expected a whole number from 0"),
        ({"history": ["a"], "excluding": "a"}, "wrong_type", 'excluding is "a"; expected a list of items'),
        (
            {"history": ["a"], "excluding": [1]},
            "wrong_type",
            "excluding[0] is 1; expected a token or a title",
        ),
        ({"history": ["a"], "excluding": ["Same"]}, "ambiguous_title", "pass a token"),
    ],
)
def test_a_call_that_cannot_be_answered_says_why(arguments: dict[str, Any], code: str, message: str) -> None:
    found = refusal(recommender(), "recommend", **arguments)
    assert found[0] == code
    assert message in found[1]


def test_a_score_that_is_no_number_is_no_list() -> None:
    model = Model(recommender().host.contract, {"scores": [[0.0, 1.0, math.nan, 0.0, 0.0, 0.0]]})
    assert refusal(model, "recommend", history=["a"])[0] == "bad_score"


def test_logits_over_items_have_the_probabilities_of_what_can_be_listed() -> None:
    signature = Signature(inputs=(history(),), outputs=(scores(meaning="logit"),))
    model = Model(contract_of(signature), {"scores": [[50.0, 0.0, math.log(3), -math.inf, -math.inf, 50.0]]})
    found = model.host.call("recommend", {"history": []})
    assert isinstance(found, Recommendations)
    assert [each.probability for each in found] == pytest.approx([0.75, 0.25], abs=1e-6)


@pytest.mark.parametrize(("shape", "expected"), [((), [2]), ((1,), [[2]]), ((1, 1), [[[2]]])])
def test_one_number_has_the_shape_of_its_row(shape: tuple[int, ...], expected: list[Any]) -> None:
    """An id, a number and a length alike."""
    film, weight = (replace(each, shape=("batch", *shape)) for each in (FILM, WEIGHT))
    size = Feature(name="size", kind="length", shape=("batch", *shape))
    signature = Signature(inputs=(film, weight, history(), size), outputs=(CLICK,), role="predict")
    model = Model(contract_of(signature), {"click": [0.0]})
    number: Any = 2
    for _ in shape:
        number = [number]
    model.host.call("predict", {"film": "b", "weight": number, "history": ["a", "b"]})
    (inputs,) = model.inputs
    assert [inputs[each].tolist() for each in ("film", "weight", "size")] == [expected] * 3


def test_listed_ids_are_sorted_by_their_scores_and_cleaned() -> None:
    outputs = (
        Output(name="ids", meaning="top_k_ids", dtype="int32", shape=("batch", 5), vocabulary="film"),
        Output(name="best", meaning="top_k_scores", shape=("batch", 5)),
    )
    contract = contract_of(Signature(inputs=(history(),), outputs=outputs))
    model = Model(contract, {"ids": [[0, 3, 2, -1, 4]], "best": [[9.0, 2.0, 2.0, 1.0, 5.0]]})
    found = model.host.call("recommend", {"history": ["a"], "k": 3})
    assert ids(found) == [4, 2, 3], "padding and -1 are no items; of equal scores the lower id comes first"
    alone = contract_of(Signature(inputs=(history(),), outputs=outputs[:1]))
    listed = Model(alone, {"ids": [[0, 3, 2, -1, 4]]}).host.call("recommend", {"history": [], "k": 2})
    assert plain(listed)["items"][0] == {"id": 3, "token": "c", "title": "Same"}
    assert ids(listed) == [3, 2], "without scores the model's own order stands"


def ranker(*outputs: Output) -> tuple[Contract, Signature]:
    signature = Signature(inputs=(FILM, WEIGHT), outputs=outputs)
    return contract_of(signature), signature


def test_candidates_are_ranked_in_as_many_runs_as_the_contract_needs() -> None:
    contract, _ = ranker(CLICK)
    model = Model(contract, {"click": [0.0, 1.0, 1.0, -1.0]}, {"click": [7.0]})
    words = ["a", "b", "c", "d", "Alpha"]
    found = model.host.call("rank", {"candidates": words, "weight": 2})
    assert [len(each["film"]) for each in model.inputs] == [4, 1]
    assert ids(found) == [1, 2, 3, 1, 4], "of equal scores the earlier candidate comes first"
    assert isinstance(found, Recommendations)
    assert [each.probability for each in found][:2] == pytest.approx([1 / (1 + math.exp(-7)), 0.731058578])


def test_candidates_may_bring_their_own_features_and_every_head_is_told() -> None:
    contract, _ = ranker(BUY, CLICK)
    model = Model(contract, {"buy": [[1.0], [2.0]], "click": [5.0, 6.0]})
    given = [{"film": "a", "weight": 0.5}, {"film": "no film"}]
    found = model.host.call("rank", {"candidates": given, "weight": 4})
    assert model.inputs[0]["weight"].tolist() == [0.5, 4.0]
    assert model.inputs[0]["film"].tolist() == [1, 5]
    first = plain(found)["items"][0]
    assert first == {
        "id": 5,
        "token": "no film",
        "title": "no film",
        "score": 2.0,
        "scores": {"buy": 2.0, "click": 6.0},
    }
    assert plain(found)["unknown"] == [{"given": "no film", "near": []}]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ({"weight": 1}, "missing_feature", "candidates is missing; pass a list of items"),
        ({"weight": 1, "candidates": "a"}, "wrong_type", 'candidates is "a"; expected a list of items'),
        ({"weight": 1, "candidates": [1]}, "wrong_type", "candidates[0] is 1; expected an item or a record"),
        (
            {"candidates": [{"film": "a", "weight": 1}, "b"]},
            "missing_feature",
            "weight of candidates[1] is missing; pass a number",
        ),
        (
            {"candidates": [{"film": "a", "wieght": 1}]},
            "unknown_feature",
            "candidates[0].wieght is no feature of rank; expected film, weight",
        ),
        (
            {"candidates": [{"weight": 1}]},
            "missing_feature",
            "candidates[0].film is missing; pass a token or a title",
        ),
        ({"candidates": ["a"], "weight": "1"}, "wrong_type", 'weight is "1"; expected a finite number'),
        ({"candidates": ["a"], "weight": math.inf}, "wrong_type", "expected a finite number"),
        ({"candidates": ["a"], "weight": True}, "wrong_type", "weight is true; expected a finite number"),
    ],
)
def test_candidates_that_cannot_be_ranked_say_why(arguments: dict[str, Any], code: str, message: str) -> None:
    found = refusal(Model(ranker(CLICK)[0], {"click": [0.0]}), "rank", **arguments)
    assert found[0] == code
    assert message in found[1]


def test_no_candidates_are_no_list_and_a_head_that_is_no_number_is_an_error() -> None:
    model = Model(ranker(CLICK)[0], {"click": [math.nan]})
    assert ids(model.host.call("rank", {"candidates": [], "weight": 1})) == []
    assert refusal(model, "rank", candidates=["a"], weight=1)[0] == "bad_score"


def test_masks_lengths_and_numbers_along_a_history_follow_it() -> None:
    along = Feature(name="stars", kind="dense", dtype="float32", shape=("batch", "length"))
    mask = Feature(name="mask", kind="mask", dtype="bool", shape=("batch", "length"))
    size = Feature(name="size", kind="length", shape=("batch",))
    signature = Signature(inputs=(history(), along, mask, size), outputs=(scores(),))
    model = Model(contract_of(signature), {"scores": [SCORES]})
    model.host.call("recommend", {"history": list("abcd"), "stars": [1, 2, 3, 4]})
    model.host.call("recommend", {"history": ["a"], "stars": [5]})
    assert model.inputs[0]["stars"].tolist() == [[2, 3, 4]]
    assert model.inputs[1]["stars"].tolist() == [[0, 5]]
    assert model.inputs[1]["mask"].tolist() == [[False, True]]
    assert [each["size"].tolist() for each in model.inputs] == [[3], [1]]
    assert refusal(model, "recommend", history=["a"], stars=[1, 2]) == (
        "wrong_length",
        "stars has 2 entries and history has 1; pass one for each",
    )


def test_a_history_that_nothing_pads_has_to_be_long_enough() -> None:
    bare = {"film": VocabularySpec(size=6, sha256="0")}
    signature = Signature(
        inputs=(history(padding_side=None, out_of_vocabulary="forbid"),), outputs=(scores(),)
    )
    plain_films = Items("film", bare["film"], tuple("uabcde"))
    model = Model(contract_of(signature, vocabularies=bare), {"scores": [SCORES]}, film=plain_films)
    assert refusal(model, "recommend", history=["a"]) == (
        "too_short",
        "history has 1 items; expected at least 2, as nothing pads it",
    )


def test_states_go_from_call_to_call_of_a_session_and_from_zeros_elsewhere() -> None:
    state = Feature(name="hidden", kind="state", dtype="float32", shape=(1, "batch", 2))
    following = Output(name="next", meaning="state", shape=(1, "batch", 2), updates="hidden")
    item = Feature(name="item", kind="id", shape=("batch",), vocabulary="film")
    signature = Signature(inputs=(item, state), outputs=(scores(), following))
    model = Model(
        contract_of(signature),
        {"scores": [SCORES], "next": [[[1, 2]]]},
        {"scores": [SCORES], "next": [[[3, 4]]]},
    )
    states: dict[str, Any] = {}
    model.host.call("recommend", {"item": "a"}, states)
    with pytest.raises(CallError):
        model.host.call("recommend", {"item": 1}, states)
    model.host.call("recommend", {"item": "a", "k": 0}, states)
    model.host.call("recommend", {"item": "a"})
    given = [each["hidden"].tolist() for each in model.inputs]
    assert given == [[[[0, 0]]], [[[1, 2]]], [[[0, 0]]]], (
        "a refused call changes nothing; k of 0 still counts"
    )
    assert states["hidden"].tolist() == [[[3, 4]]]


def test_a_vector_and_predictions() -> None:
    vector = Output(name="vector", meaning="embedding", shape=("batch", 3))
    embeds = Model(contract_of(Signature(inputs=(history(),), outputs=(vector,))), {"vector": [[0.5, 1, 2]]})
    assert plain(embeds.host.call("embed", {"history": ["x"]})) == {
        "values": [0.5, 1.0, 2.0],
        "unknown": [{"given": "x", "near": []}],
    }
    outputs = (
        Output(name="stays", meaning="logit", shape=("batch", 1)),
        Output(name="minutes", meaning="score", shape=("batch", 2), unit="minutes"),
    )
    model = Model(
        contract_of(Signature(inputs=(WEIGHT,), outputs=outputs)), {"stays": [[0.0]], "minutes": [[1, 2]]}
    )
    assert plain(model.host.call("predict", {"weight": 1})) == {
        "outputs": {
            "stays": {"value": 0.0, "probability": 0.5},
            "minutes": {"value": (1.0, 2.0), "unit": "minutes"},
        }
    }


@pytest.mark.parametrize(("side", "given"), [("left", [[9, 2, 5]]), ("right", [[2, 5, 9]])])
def test_a_page_is_its_candidates_in_the_models_order(side: Any, given: list[list[float]]) -> None:
    out = Output(name="places", meaning="score", shape=("batch", "length"))
    signature = Signature(inputs=(history(padding_side=side, name="slate"),), outputs=(out,))
    model = Model(contract_of(signature), {"places": given})
    found = model.host.call("arrange", {"candidates": ["a", "b"]})
    assert [(each.token, each.score) for each in found] == [("b", 5.0), ("a", 2.0)]  # type: ignore[union-attr]
    assert ids(model.host.call("arrange", {"candidates": ["a", "no film"], "k": 1})) == [0]
    assert refusal(model, "arrange", candidates=list("abcd")) == (
        "too_many",
        "candidates has 4 items; expected at most 3",
    )
    assert ids(model.host.call("arrange", {"candidates": []})) == []


def test_an_arm_is_drawn_by_its_probability_or_is_the_best() -> None:
    chance = scores(name="chance", meaning="probability")
    signature = Signature(inputs=(WEIGHT,), outputs=(scores(), chance), role="decide")
    chances = [0.5, 0.1, 0.1, 0.3, 0, 0]
    model = Model(contract_of(signature), {"scores": [[9, 1, 4, 2, 0, 0]], "chance": [chances]})
    best = plain(model.host.call("decide", {"weight": 1}))
    assert (best["arm"]["token"], best["propensity"]) == ("b", None)
    drawn = plain(model.host.call("decide", {"weight": 1, "draw": 0.5}))
    assert drawn["arm"]["token"] == "c"
    assert drawn["propensity"] == pytest.approx(0.6)
    for draw in (1, -0.1, "x", True):
        assert refusal(model, "decide", weight=1, draw=draw)[0] == "bad_draw"
    chances[2] = math.nan
    said = ("bad_score", "the score of id 2 is not a number; build the model again")
    assert refusal(model, "decide", weight=1, draw=0.5) == refusal(model, "decide", weight=1) == said


def test_numbers_of_numpy_are_numbers() -> None:
    """As a page's length or a draw of a generator comes from NumPy."""
    assert ids(recommender().host.call("recommend", {"history": ["a"], "k": np.int64(1)})) == [2]
    assert refusal(recommender(), "recommend", history=["a"], k=np.float32(1.5))[1].startswith("k is 1.5;")
    chance = scores(name="chance", meaning="probability")
    signature = Signature(inputs=(WEIGHT,), outputs=(chance,), role="decide")
    model = Model(contract_of(signature), {"chance": [[0.5, 0.1, 0.1, 0.3, 0, 0]]})
    for weight in (np.float32(2), np.int32(2), np.array(2)):
        drawn = plain(model.host.call("decide", {"weight": weight, "draw": np.float32(0.5)}))
        assert drawn["arm"]["token"] == "c"
        assert model.inputs[-1]["weight"].tolist() == [2.0]
    for wrong in (np.float32("nan"), np.bool_(True)):
        assert refusal(model, "decide", weight=wrong)[0] == "wrong_type"


def test_an_arm_is_judged_by_the_first_of_several_scores() -> None:
    """As with every other role: a bound decides that stands before the mean and width it is made of."""
    width = Output(name="width", meaning="score", shape=("batch", 6), vocabulary="film")
    signature = Signature(inputs=(WEIGHT,), outputs=(scores(), width), role="decide")
    model = Model(contract_of(signature), {"scores": [[0, 1, 4, 2, 0, 0]], "width": [[0, 9, 0, 0, 0, 0]]})
    assert plain(model.host.call("decide", {"weight": 1}))["arm"]["token"] == "b"


def test_text_goes_through_the_tokenizer_and_its_mask_follows() -> None:
    words = Feature(name="words", kind="id_sequence", shape=("batch", "length"), vocabulary="word")
    mask = Feature(name="mask", kind="mask", shape=("batch", "length"))
    spec = VocabularySpec(size=9, padding_id=0, tokenizer=Tokenizer())
    signature = Signature(inputs=(words, mask), outputs=(scores(),))
    contract = contract_of(signature, vocabularies={"film": FILMS, "word": spec})
    model = Model(contract, {"scores": [SCORES]}, word=Items("word", spec, tuple("012345678")))
    model.host.call("search", {"text": "ab"})
    assert model.inputs[0]["words"].tolist() == [[2, 0]]
    assert model.inputs[0]["mask"].tolist() == [[1, 0]]
    assert refusal(model, "search", text=["ab"])[1] == 'text is ["ab"]; expected text'


def test_a_fixed_batch_is_filled_with_the_last_row() -> None:
    model = recommender(dims={"batch": Dim(min=3, max=3), "length": Dim(min=2, max=3)})
    model.host.call("recommend", {"history": ["a"]})
    assert model.inputs[0]["history"].tolist() == [[0, 1]] * 3


def test_whole_numbers_are_whole_and_fit_their_dtype() -> None:
    hour = Feature(name="hour", kind="dense", dtype="int32", shape=("batch",))
    flag = Feature(name="flag", kind="dense", dtype="bool", shape=("batch",))
    pair = Feature(name="pair", kind="dense", dtype="float32", shape=("batch", 2))
    model = Model(contract_of(Signature(inputs=(hour, flag, pair), outputs=(BUY,))), {"buy": [[1]]})
    good = {"hour": 3, "flag": True, "pair": np.array([1.0, 2.0], np.float32)}
    model.host.call("predict", good)
    assert model.inputs[0]["pair"].tolist() == [[1, 2]]
    for name, wrong, message in (
        ("hour", 1.5, "hour is 1.5; expected a whole number of int32"),
        ("hour", 2**31, "hour is 2147483648; expected a whole number of int32"),
        ("flag", 1, "flag is 1; expected true or false"),
        ("pair", [1], "pair has 1 entries; expected 2"),
        ("pair", 1, "pair is 1; expected a list of 2 numbers"),
        ("pair", [1, None], "pair[1] is null; expected a finite number"),
    ):
        assert refusal(model, "predict", **{**good, name: wrong})[1] == message


def weighed(value: Any, dtype: Any = "float32") -> tuple[str, str]:
    signature = Signature(inputs=(FILM, replace(WEIGHT, dtype=dtype)), outputs=(CLICK,))
    model = Model(contract_of(signature), {"click": [0.0]})
    return refusal(model, "rank", candidates=["a"], weight=value)


@pytest.mark.parametrize("value", [10**400, -(10**400), 1e39, -3.5e38, math.inf, math.nan])
def test_a_number_that_float32_takes_for_infinite_is_refused(value: float) -> None:
    """The model would answer NaN, or its best for something else than was asked."""
    code, message = weighed(value)
    assert code == "wrong_type"
    assert message.endswith("expected a finite number")


@pytest.mark.parametrize("value", [10**400, 2**31, 1e39, math.inf])
@pytest.mark.parametrize("dtype", ["int32", "int64"])
def test_a_whole_number_that_its_type_has_not_is_refused(value: float, dtype: str) -> None:
    if (value, dtype) != (2**31, "int64"):
        assert weighed(value, dtype)[0] == "wrong_type"


def test_the_largest_number_of_float32_is_one() -> None:
    largest = float(np.finfo(np.float32).max)
    signature = Signature(inputs=(FILM, WEIGHT), outputs=(CLICK,))
    model = Model(contract_of(signature), {"click": [0.0]})
    model.host.call("rank", {"candidates": ["a"], "weight": largest})
    assert model.inputs[0]["weight"].tolist() == [largest]


@pytest.mark.parametrize("given", [np.array("ab"), np.array(5), json.loads("[" * 900 + "]" * 900)])
def test_what_is_no_list_of_words_is_refused_whatever_its_depth(given: Any) -> None:
    assert refusal(recommender(), "recommend", history=given)[0] == "wrong_type"


def test_a_value_that_cannot_be_shown_is_named_by_its_type() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert refusal(recommender(), "recommend", history=[], k=deep) == (
        "bad_k",
        "k is list; expected a whole number from 0",
    )
