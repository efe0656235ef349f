"""Cases are of what the contract allows, at its ends and between, the same every time, and no more."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.errors import RecipeError
from pocketrec.recipe import Stress
from pocketrec.validate.measure.stress_cases import (
    MOST_NUMBERS,
    Case,
    check_left_out,
    ends_and_between,
    make_cases,
    stacks,
)


def cases_of(contract: Contract, **given: Any) -> dict[str, Case]:
    return {str(each): each for each in make_cases(contract, "main", Stress(**given), seed=1)}


def inputs_of(case: Case) -> dict[str, Any]:
    return dict(case.inputs)


def with_inputs(contract: Contract, *features: Feature) -> Contract:
    """The contract whose function has these inputs as well."""
    signature = contract.functions["main"]
    return replace(contract, functions={"main": replace(signature, inputs=(*signature.inputs, *features))})


def test_sizes_are_both_ends_their_neighbours_and_one_between() -> None:
    assert ends_and_between(1, 64) == (1, 2, 8, 63, 64)
    assert ends_and_between(0, 50) == (0, 1, 7, 49, 50)
    assert ends_and_between(3, 4) == (3, 4)
    assert ends_and_between(5, 5) == (5,)


def test_shapes_and_dtypes_are_the_contracts_and_values_within_it(contract: Contract) -> None:
    for name, case in cases_of(contract).items():
        for feature in contract.functions["main"].inputs:
            array = case.inputs[feature.name]
            assert str(array.dtype) == feature.dtype, name
            bounds = [contract.bounds(size) for size in feature.shape[1:]]
            assert all(low <= size <= high for size, (low, high) in zip(array.shape[1:], bounds, strict=True))
            if feature.is_id and "unknown" not in name:
                assert 0 <= array.min() <= array.max() < 40, name
            if not feature.is_id:
                assert -2 <= array.min() <= array.max() <= 3, name


def test_the_same_arguments_give_the_same_cases(contract: Contract) -> None:
    one, two = cases_of(contract), cases_of(contract)
    assert one.keys() == two.keys()
    for name, case in one.items():
        for feature, array in case.inputs.items():
            np.testing.assert_array_equal(array, two[name].inputs[feature])


def test_histories_keep_so_many_entries_on_the_side_that_is_not_padded(contract: Contract) -> None:
    cases = cases_of(contract)
    for name, keep in (("empty", 0), ("1 entry", 1), ("2 entries", 2), ("5 entries", 5), ("full", 6)):
        (history,) = inputs_of(cases[f"histories: {name}"])["history"]
        assert (history[: 6 - keep] == 0).all()
        assert (history[6 - keep :] > 0).all()
    assert cases["histories: empty and shortest"].inputs["history"].tolist() == [[0]]
    assert cases["histories: every row empty"].inputs["history"].shape == (8, 6)
    assert len(np.unique(cases["histories: one item throughout"].inputs["history"])) == 1
    (turn,) = cases["histories: two items in turn"].inputs["history"].tolist()
    assert turn[:2] * 3 == turn


def test_what_runs_along_a_history_is_filled_as_an_app_fills_it(contract: Contract) -> None:
    wide = with_inputs(
        contract,
        Feature(name="mask", kind="mask", shape=("batch", "length")),
        Feature(name="ages", kind="dense", dtype="float32", shape=("batch", "length"), minimum=1, maximum=2),
        Feature(name="count", kind="length", shape=("batch",), maximum=6),
    )
    inputs = inputs_of(cases_of(wide)["histories: 2 entries"])
    assert inputs["mask"].tolist() == [[0, 0, 0, 0, 1, 1]]
    assert (inputs["ages"] > 0).tolist() == [[False] * 4 + [True] * 2]
    assert inputs["count"].tolist() == [2]
    assert cases_of(wide)["histories: empty"].inputs["count"].tolist() == [1]  # the least that it takes
    stream = next(each for name, each in cases_of(wide).items() if name.startswith("streams: uniform"))
    real = inputs_of(stream)["history"] > 0
    np.testing.assert_array_equal(stream.inputs["mask"] == 1, real)


def test_numbers_are_those_of_the_stated_range(contract: Contract) -> None:
    names = {name.partition(": ")[2] for name in cases_of(contract) if name.startswith("numbers")}
    assert names == {"0", "-0", "1e-45", "-1e-45", "1e-39", "1e-06", "-1e-06"}
    minus = cases_of(contract)["numbers: -0"].inputs["age"]
    assert np.signbit(minus).all()
    far = Feature(name="far", kind="dense", dtype="float32", shape=("batch", 2), minimum=5, maximum=2e4)
    names = {name.partition(": ")[2] for name in cases_of(with_inputs(contract, far)) if "far" in name}
    assert names == {"far = 5", "far = 20000"}
    assert "numbers: 10000" in cases_of(with_inputs(contract, far))


def test_whole_numbers_end_where_their_range_and_their_dtype_end(contract: Contract) -> None:
    when = Feature(name="when", kind="dense", dtype="int64", shape=("batch",), minimum=-1e30, maximum=2.0**40)
    cases = cases_of(with_inputs(contract, when))
    found = {int(each.inputs["when"][0]) for name, each in cases.items() if name.startswith("numbers: when")}
    assert found == {-(2**63), -(2**53) - 1, -(2**31) - 1, -1, 0, 1, 2**31 - 1, 2**31, 2**40}


def test_ids_are_first_last_and_those_set_aside(contract: Contract) -> None:
    item = Feature(name="item", kind="id", shape=("batch",), vocabulary="item", out_of_vocabulary="padding")
    wide = with_inputs(contract, item)
    named = {name for name in cases_of(wide) if name.startswith("ids: item")}
    assert named == {"ids: item = 0", "ids: item = 1", "ids: item = 38", "ids: item = 39"}
    assert "ids: history = 0" not in cases_of(wide)  # an empty history, which is asked above
    unknown = {name for name in cases_of(wide) if name.startswith("unknown ids: item")}
    assert unknown == {f"unknown ids: item = {each}" for each in (40, -1, -(2**31), 2**31 - 1)}
    assert not any(name.startswith("forbidden") for name in cases_of(wide))


def test_forbidden_ids_stand_at_one_place_of_a_call_of_its_own(contract: Contract) -> None:
    signature = contract.functions["main"]
    history = replace(signature.input("history"), out_of_vocabulary="forbid")
    bare = replace(contract, functions={"main": replace(signature, inputs=(history, signature.inputs[1]))})
    cases = cases_of(bare)
    assert not any(name.startswith("unknown") for name in cases)
    for value in (40, -1, -(2**31), 2**31 - 1):
        case = cases[f"forbidden ids: history holds {value}"]
        assert case.forbidden
        assert case.alone
        assert (case.inputs["history"] == value).sum() == 1


def test_streams_reach_the_tail_and_repeat_what_is_popular(contract: Contract) -> None:
    items = 100_000
    large = replace(contract, vocabularies={"item": VocabularySpec(size=items, padding_id=0)})
    cases = cases_of(large, rows=300)
    uniform, zipf, unknown = (
        inputs_of(cases[f"streams: {name}"])["history"]
        for name in ("uniform", "Zipf 1.1", "Zipf 1.1 with unknown ids")
    )
    assert uniform.shape == (300, 6)
    lengths = (uniform > 0).sum(1)
    assert set(lengths) == set(range(7))
    real = zipf[zipf > 0]
    counts = np.bincount(real, minlength=items)
    share = counts[1] / len(real)
    ranks = np.arange(1, items, dtype=np.float64)
    assert share == pytest.approx(1 / (ranks**-1.1).sum(), abs=0.06)
    assert (real > items // 2).any()
    assert (uniform > items // 2).any()
    assert 0.01 < (unknown == items).mean() < 0.1


def test_a_batch_that_is_too_large_to_compare_at_once_is_named(contract: Contract) -> None:
    signature = contract.functions["main"]
    items = MOST_NUMBERS // 3
    scores = Output(name="scores", meaning="score", shape=("batch", items), vocabulary="item")
    large = replace(
        contract,
        functions={"main": replace(signature, outputs=(scores,))},
        vocabularies={"item": VocabularySpec(size=items, padding_id=0)},
    )
    batches = {name: each for name, each in cases_of(large).items() if each.kind == "batches"}
    assert list(batches) == ["batches: 1", "batches: 2", "batches: 8"]
    assert batches["batches: 8"].left_out == (
        "more than 2 rows, or than 8388608 numbers, are not asked at once"
    )
    assert cases_of(large)["streams: uniform"].inputs["history"].shape == (2, 6)


def test_a_function_without_a_batch_is_asked_a_call_at_a_time() -> None:
    ids = Feature(name="ids", kind="id_sequence", shape=("length",), vocabulary="item")
    single = Contract(
        functions={
            "main": Signature(inputs=(ids,), outputs=(Output(name="y", meaning="embedding", shape=(4,)),))
        },
        dims={"length": Dim(max=9)},
        vocabularies={"item": VocabularySpec(size=30)},
    )
    assert not stacks(single.functions["main"])
    cases = cases_of(single)
    assert all(each.inputs["ids"].ndim == 1 for each in cases.values())
    assert "streams: uniform" in cases
    assert not any("empty" in name for name in cases)  # nothing pads


def test_a_pattern_that_names_no_case_is_an_error(contract: Contract) -> None:
    check_left_out(contract, Stress(leave_out=("histories: *", "numbers: -0")))
    with pytest.raises(RecipeError, match=r"stress.leave_out: 'history: \*' is no case"):
        check_left_out(contract, Stress(leave_out=("history: *",)))
