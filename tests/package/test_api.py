"""API vectors say what every language answers, and a model that answers otherwise is found."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.package.host.toys import contract_of, films, history, scores

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.errors import ArtifactError
from pocketrec.package.api import API, ApiVectors, check_calls, read_api, replay_calls, write_api
from pocketrec.package.api_calls import api_vectors
from pocketrec.package.bundle import read_bundle, seal
from pocketrec.package.host.calls import Host
from pocketrec.schema import from_table

STATE = Feature(name="hidden", kind="state", dtype="float32", shape=("batch", 1))
NEXT = Output(name="next", meaning="state", shape=("batch", 1), updates="hidden")
SESSION = contract_of(Signature(inputs=(history(), STATE), outputs=(scores(), NEXT)))
RANK = contract_of(
    Signature(
        inputs=(
            Feature(name="film", kind="id", shape=("batch",), vocabulary="film", out_of_vocabulary="unknown"),
            Feature(name="weight", kind="dense", dtype="float32", shape=("batch",), maximum=8.0),
        ),
        outputs=(Output(name="click", meaning="logit", shape=("batch",)),),
    )
)


PAGE = contract_of(
    Signature(
        inputs=(
            history(name="slate", shape=("batch", 5), padding_side="right"),
            Feature(name="worth", kind="dense", dtype="float32", shape=("batch", 5), maximum=8.0),
        ),
        outputs=(Output(name="places", meaning="score", shape=("batch", 5)),),
    )
)


def session_model(function: str, inputs: Mapping[str, Any], shift: float = 0.0) -> dict[str, Any]:
    """A score for each film: how often it stands in the history, a tenth of its id, and the state."""
    ids = np.asarray(inputs["history"])
    counts = np.stack([(ids == each).sum(1) for each in range(6)], 1)
    state = np.asarray(inputs["hidden"])
    return {
        "scores": (counts + 0.1 * np.arange(6) + state + shift).astype(np.float32),
        "next": (state + 1).astype(np.float32),
    }


def rank_model(function: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
    return {"click": (np.asarray(inputs["film"]) * np.asarray(inputs["weight"])).astype(np.float32)}


def host(contract: Contract, run: Any) -> Host:
    return Host(contract=contract, vocabularies={"film": films()}, run=run, tokenize=lambda *each: [])


VECTORS = api_vectors(host(SESSION, session_model))


def test_every_rule_has_a_call_or_a_vector_of_its_own() -> None:
    named = {each.name for each in VECTORS.calls}
    assert {
        *("as an app would", "without history", "history: nothing", "history: one item"),
        *("history: longer than the limit", "history: one item twice", "history: no item"),
        *("history: a title of several", "history: a part of a title", "k of 0", "k of 1", "k of -1"),
        *("more than there is", "everything excluded", "call 3 of a session"),
    } <= named
    codes = {each.error["code"] for each in VECTORS.calls if each.error}
    assert {"missing_feature", "unknown_feature", "wrong_type", "ambiguous_title", "bad_k"} <= codes
    assert {each["rule"] for each in VECTORS.rules} == {
        *("top_k", "softmax", "sigmoid", "drawn", "edit_distance", "find")
    }


def test_numbers_along_a_page_of_one_length_are_as_many_as_its_candidates() -> None:
    """Else every call but an empty page's would be refused, and nothing of the model be compared."""
    drawn = api_vectors(host(PAGE, lambda _, inputs: {"places": np.asarray(inputs["worth"])}))
    answers = {each.name: each.answer for each in drawn.calls}
    whole, one = answers["as an app would"], answers["one of the page"]
    assert whole is not None
    assert one is not None
    assert [each["score"] for each in whole["items"]] == [6.0, 3.0, 1.0]
    assert one["items"] == whole["items"][:1]


def test_answers_are_those_of_the_model() -> None:
    by_name = {each.name: each.answer for each in VECTORS.calls}
    more = by_name["more than there is"]
    assert more is not None
    assert [each["token"] for each in more["items"]] == ["c", "b", "a"], "each stands in the history once"
    assert by_name["everything excluded"] == {"items": []}
    third, first = by_name["call 3 of a session"], by_name["call 1 of a session"]
    assert third is not None
    assert first is not None
    assert third["items"][0]["score"] - first["items"][0]["score"] == pytest.approx(2), "the state counts"


def test_they_survive_their_file(tmp_path: Path) -> None:
    write_api(tmp_path, VECTORS)
    table = json.loads((tmp_path / "golden" / "api.json").read_text(encoding="utf-8"))
    again = from_table(ApiVectors, table, source="api.json")
    assert replay_calls(host(SESSION, session_model), again, "main", {"scores": 0.0}, 0.0) == (
        len(VECTORS.calls),
        "",
    )


@pytest.mark.parametrize("contract", [SESSION, RANK], ids=["recommend", "rank"])
def test_the_model_itself_passes(contract: Contract) -> None:
    run = session_model if contract is SESSION else rank_model
    vectors = api_vectors(host(contract, run))
    count, difference = replay_calls(host(contract, run), vectors, "main", {}, 0.0)
    assert (count, difference) == (len(vectors.calls), "")


def wrong(change: Any) -> str:
    def run(function: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        return dict(change(session_model(function, inputs)))

    return replay_calls(host(SESSION, run), VECTORS, "main", {"scores": 1e-4}, 1e-5)[1]


def test_other_scores_another_order_and_a_lost_state_are_found() -> None:
    assert "place 0 is" in wrong(lambda out: {**out, "scores": out["scores"] + np.float32(0.01)})
    assert "place 0 is" in wrong(lambda out: {**out, "scores": out["scores"][:, ::-1]})
    assert "call 2 of a session" in wrong(lambda out: {**out, "next": out["next"] * 0})
    fewer = wrong(lambda out: {**out, "scores": np.where(np.arange(6) == 1, -np.inf, out["scores"])})
    assert "items; expected" in fewer
    assert wrong(lambda out: {**out, "scores": out["scores"] + np.float32(1e-5)}) == "", (
        "within the tolerance"
    )


def test_equal_scores_may_swap_places_and_others_may_not() -> None:
    call = next(each for each in VECTORS.calls if each.name == "more than there is")
    assert call.answer is not None
    items = [
        dict(each, score=score) for each, score in zip(call.answer["items"], (2.0, 1.0, 1.0), strict=True)
    ]

    def replayed(order: list[int], tie_tolerance: float) -> str:
        swapped = replace(call, answer={"items": [items[each] for each in order]})
        vectors = replace(VECTORS, calls=(swapped,))

        def run(function: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
            found = np.zeros((1, 6), np.float32)
            for each in items:
                found[0, each["id"]] = each["score"]
            return {"scores": found, "next": np.zeros((1, 1), np.float32)}

        return replay_calls(host(SESSION, run), vectors, "main", {}, tie_tolerance)[1]

    assert replayed([0, 1, 2], 1e-6) == replayed([0, 2, 1], 1e-6) == ""
    assert "place 0" in replayed([1, 0, 2], 1e-6)


def test_an_error_in_place_of_an_answer_is_found() -> None:
    call = replace(VECTORS.calls[0], answer=None, error={"code": "bad_k", "message": "k"})
    vectors = replace(VECTORS, calls=(call,))
    _, difference = replay_calls(host(SESSION, session_model), vectors, "main", {}, 0.0)
    assert 'expected {"code": "bad_k"' in difference


def test_a_model_that_gives_no_number_has_no_vector() -> None:
    def run(function: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        empty = not np.asarray(inputs["history"]).any()
        return session_model(function, inputs, shift=float("nan") if empty else 0.0)

    named = {each.name for each in api_vectors(host(SESSION, run)).calls}
    assert "history: nothing" not in named
    assert "history: one item" in named


def test_numbers_that_json_has_not_are_no_vector_whatever_the_role() -> None:
    """A mean over nothing is NaN; JSON holds neither it nor infinities."""
    vector = Output(name="vector", meaning="embedding", shape=("batch", 2))
    contract = contract_of(Signature(inputs=(history(),), outputs=(vector,)))

    def run(function: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        empty = not np.asarray(inputs["history"]).any()
        return {"vector": np.full((1, 2), math.nan if empty else 1.0, np.float32)}

    calls = {each.name: each for each in api_vectors(host(contract, run)).calls}
    assert "history: no item" not in calls
    assert calls["as an app would"].answer == {"values": [1.0, 1.0]}


def changed(name: str, **more: Any) -> ApiVectors:
    calls = [replace(each, **more) if each.name == name else each for each in VECTORS.calls]
    return replace(VECTORS, calls=tuple(calls))


def test_every_call_is_of_a_method_and_every_method_has_one() -> None:
    methods = host(SESSION, session_model).calls
    check_calls(VECTORS, methods)
    for more in ({"method": "rank"}, {"function": "other"}):
        with pytest.raises(ArtifactError, match=r"calls\[0\] is of .* which is no method of contract\.json"):
            check_calls(changed("as an app would", **more), methods)
    with pytest.raises(ArtifactError, match=r"no call of recommend, so nothing is compared"):
        check_calls(replace(VECTORS, calls=()), methods)


def test_what_an_answer_has_beside_its_items_is_compared() -> None:
    call = next(each for each in VECTORS.calls if each.name == "as an app would")
    vectors = replace(VECTORS, calls=(replace(call, answer={**(call.answer or {}), "more": 1}),))
    said = replay_calls(host(SESSION, session_model), vectors, "main", {}, 0.0)[1]
    assert said == "recommend, 'as an app would': has items; expected items, more"


ITEM = {"id": 1, "token": "a", "title": "Alpha", "score": 1.0}
NO_ITEMS: list[Any] = [
    *(5, [5], {}, [{}], [{**ITEM, "id": [1]}], [{**ITEM, "id": True}], [{**ITEM, "token": 1}]),
    *([{**ITEM, "score": "1"}], [{**ITEM, "score": None}], [{**ITEM, "title": None}]),
]
DEEP = json.loads("[" * 40 + "]" * 40)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"error": {"code": "bad_k", "message": "k"}}, "an answer or an error, and not both"),
        ({"answer": None}, "an answer or an error, and not both"),
        *(({"answer": {"items": items}}, "lists what is no item") for items in NO_ITEMS),
        *(
            ({"answer": {"items": [{**ITEM, "score": score}]}}, "a number that is not finite")
            for score in (math.inf, -math.inf, math.nan, 10**400)
        ),
        ({"answer": {"values": DEEP}}, "16 lists in one another"),
        ({"arguments": {"history": DEEP}}, "16 lists in one another"),
        ({"arguments": {"k": math.nan}}, "a number that is not finite"),
    ],
)
def test_a_file_that_was_edited_is_an_error_that_names_the_call(
    tmp_path: Path, more: dict[str, Any], message: str
) -> None:
    write_api(tmp_path, replace(VECTORS, calls=VECTORS.calls[:1]))
    table = json.loads((tmp_path / API).read_text(encoding="utf-8"))
    table["calls"][0] |= more
    (tmp_path / API).write_text(json.dumps(table), encoding="utf-8")
    seal(tmp_path, name="toy", version="1", artifacts={})
    with pytest.raises(ArtifactError, match=rf"api\.json: calls\[0\] \('as an app would'\) .*{message}"):
        read_api(read_bundle(tmp_path))


@pytest.mark.parametrize("words", [5, None, [[1]], {"a": 1}])
def test_all_but_something_that_is_no_list_of_words_excludes_everything(words: Any) -> None:
    vectors = changed("everything excluded", arguments={"history": ["a"], "excluding": {"all_but": words}})
    assert replay_calls(host(SESSION, session_model), vectors, "main", {}, 0.0)[1] == ""
