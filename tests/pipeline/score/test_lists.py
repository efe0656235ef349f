"""Each role's answers become columns that hold all of them, and each role's arguments come from columns."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from tests.package.host.toys import Model, contract_of, history, scores

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.errors import DataError, UsageError
from pocketrec.package.host.roles import calls_of
from pocketrec.pipeline.score.arguments import arguments_of, check_types
from pocketrec.pipeline.score.lists import lists_of
from pocketrec.pipeline.score.parts import alike

FILM = Feature(name="film", kind="id", shape=("batch",), vocabulary="film", out_of_vocabulary="unknown")
WEIGHT = Feature(name="weight", kind="dense", dtype="float32", shape=("batch",))
CLICK = Output(name="click", meaning="logit", shape=("batch",))
BUY = Output(name="buy", meaning="score", shape=("batch", 1))
VECTOR = Output(name="vector", meaning="embedding", shape=("batch", 2))
IDS = Output(name="ids", meaning="top_k_ids", dtype="int32", shape=("batch", 2), vocabulary="film")
TOP = Output(name="top", meaning="top_k_scores", shape=("batch", 2))
STARS = Output(name="stars", meaning="score", shape=("batch", 3))


def rows(
    contract: Contract, outputs: dict[str, Any], arguments: dict[str, Any]
) -> tuple[list[str], list[dict[str, Any]]]:
    """The columns of the lists of one user, and the row."""
    ((method, call),) = calls_of(contract).items()
    lists = lists_of(contract, call, "user", pa.string(), {"about": "x"})
    answer = Model(contract, outputs).host.call(method, arguments)
    table = lists.table(["u"], [answer])
    assert table.schema.metadata == {b"about": b"x"}
    return [f"{each.name}: {each.type}" for each in table.schema], table.to_pylist()


def test_logits_over_items_are_scores_and_probabilities() -> None:
    contract = contract_of(Signature(inputs=(history(),), outputs=(scores(meaning="logit"),)))
    columns, found = rows(contract, {"scores": [[0.0, 1, 1, 1, 1, 0]]}, {"history": ["a"], "k": 2})
    assert "probabilities: list<item: double>" in columns
    assert found == [
        {"user": "u", "items": ["a", "b"], "scores": [1, 1], "probabilities": [0.25, 0.25], "unknown": 0}
    ]


def test_ids_that_a_model_lists_without_scores_are_items_alone() -> None:
    alone = contract_of(Signature(inputs=(history(),), outputs=(IDS,)))
    assert rows(alone, {"ids": [[3, 1]]}, {"history": ["x"]})[1] == [
        {"user": "u", "items": ["c", "a"], "unknown": 1}
    ]
    both = contract_of(Signature(inputs=(history(),), outputs=(IDS, TOP)))
    assert rows(both, {"ids": [[3, 1]], "top": [[2.0, 1.0]]}, {"history": []})[1] == [
        {"user": "u", "items": ["c", "a"], "scores": [2.0, 1.0], "unknown": 0}
    ]


def test_candidates_have_a_column_of_each_head() -> None:
    contract = contract_of(Signature(inputs=(FILM, WEIGHT), outputs=(CLICK, BUY), items="film"))
    _, found = rows(
        contract,
        {"click": [0.0, 3.0], "buy": [[5.0], [6.0]]},
        {"candidates": ["a", "new"], "weight": 1.0},
    )
    assert found[0]["items"] == ["new", "a"]
    assert (found[0]["scores_click"], found[0]["scores_buy"]) == ([3.0, 0.0], [6.0, 5.0])
    assert found[0]["probabilities"][1] == 0.5
    assert found[0]["unknown"] == 1


def test_vectors_and_predictions_have_columns_of_their_own() -> None:
    embeds = contract_of(Signature(inputs=(history(),), outputs=(VECTOR,)))
    assert rows(embeds, {"vector": [[1.0, 2.0]]}, {"history": ["a"]})[1][0]["vector"] == [1.0, 2.0]
    predicts = contract_of(Signature(inputs=(WEIGHT,), outputs=(CLICK, STARS)))
    columns, found = rows(predicts, {"click": [0.0], "stars": [[1.0, 2, 3]]}, {"weight": 1.0})
    assert columns[1:4] == ["click: float", "click_probability: double", "stars: list<item: float>"]
    assert (found[0]["click_probability"], found[0]["stars"]) == (0.5, [1.0, 2.0, 3.0])


@pytest.mark.parametrize(
    ("scores", "same"),
    [([[2.0, 1.0]], True), ([[2.0001, 1.0]], True), ([[2.0, 1.01]], False), ([[2.0]], False)],
)
def test_tables_are_alike_where_rounding_alone_tells_them_apart(
    scores: list[list[float]], same: bool
) -> None:
    kind = pa.list_(pa.float32())
    one = pa.table({"user": ["u"], "scores": pa.array([[2.0, 1.0]], kind)})
    assert alike(one, pa.table({"user": ["u"], "scores": pa.array(scores, kind)}), 1e-4) is same


def test_a_key_that_is_called_like_a_column_of_answers_is_refused() -> None:
    contract = contract_of(Signature(inputs=(history(),), outputs=(scores(),)))
    call = calls_of(contract)["recommend"]
    with pytest.raises(UsageError, match="--key 'items': a column of answers is called so"):
        lists_of(contract, call, "items", pa.string(), {})


RANK = contract_of(
    Signature(
        inputs=(
            FILM,
            WEIGHT,
            Feature(name="wide", kind="dense", dtype="float32", shape=("batch", 2)),
            Feature(name="flag", kind="dense", dtype="bool", shape=("batch",)),
            history(),
        ),
        outputs=(CLICK,),
        items="film",
    )
)
WORDS, NUMBERS = pa.list_(pa.string()), pa.list_(pa.float32())
FITTING = {
    "candidates": WORDS,
    "weight": pa.int8(),
    "wide": NUMBERS,
    "flag": pa.bool_(),
    "history": pa.large_list(pa.dictionary(pa.int32(), pa.string())),
}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({}, ""),
        ({"candidates": pa.list_(pa.struct({"film": pa.string()}))}, ""),
        ({"weight": pa.string()}, "column 'weight' holds string; expected numbers"),
        ({"weight": NUMBERS}, "column 'weight' holds list<item: float>; expected numbers"),
        ({"wide": pa.float64()}, "column 'wide' holds double; expected lists of numbers"),
        ({"flag": pa.int8()}, "column 'flag' holds int8; expected booleans"),
        ({"candidates": pa.string()}, r"expected lists of strings \(tokens or titles\) or structs"),
        ({"history": pa.list_(WORDS)}, "expected lists of strings"),
    ],
)
def test_columns_hold_what_arguments_take(changed: dict[str, Any], message: str) -> None:
    call = calls_of(RANK)["rank"]
    schema = pa.schema({**FITTING, **changed})
    arguments = arguments_of(RANK, call, {}, schema.names)
    assert {each.name for each in arguments} == set(FITTING)
    if not message:
        check_types(arguments, schema, ids=False)
        return
    with pytest.raises(DataError, match=message):
        check_types(arguments, schema, ids=False)


def test_numbers_are_ids_where_it_is_said() -> None:
    contract = contract_of(Signature(inputs=(history(),), outputs=(scores(),)))
    schema = pa.schema({"history": pa.list_(pa.int64())})
    arguments = arguments_of(contract, calls_of(contract)["recommend"], {}, schema.names)
    check_types(arguments, schema, ids=True)
    with pytest.raises(DataError, match="pass strings, or --ids"):
        check_types(arguments, schema, ids=False)


def test_one_number_may_stand_for_a_list_of_one() -> None:
    price = Feature(name="price", kind="dense", dtype="float32", shape=("batch", 1))
    contract = contract_of(Signature(inputs=(price,), outputs=(CLICK,)), dims={"batch": Dim(max=4)})
    for kind in (pa.float32(), NUMBERS):
        schema = pa.schema({"price": kind})
        check_types(arguments_of(contract, calls_of(contract)["predict"], {}, ["price"]), schema, ids=False)
