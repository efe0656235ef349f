"""Parity fails for everything that is not the reference's output, and forgives only real ties."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest

from pocketrec.contract import Feature, Output, Signature
from pocketrec.report import TensorParity
from pocketrec.validate.measure.parity import check_parity
from pocketrec.validate.runtimes.runtime import Array

INPUT = Feature(name="x", kind="dense", dtype="float32", shape=(1,))
FULL = Output(name="scores", meaning="score", shape=(1, 5), vocabulary="item")
BEST = Output(name="best", meaning="top_k_scores", shape=(1, 3))
IDS = Output(name="ids", meaning="top_k_ids", dtype="int32", shape=(1, 3), vocabulary="item")


def compare(
    outputs: tuple[Output, ...],
    expected: Mapping[str, object],
    actual: Mapping[str, object],
    tie_tolerance: float = 1e-5,
) -> dict[str, TensorParity]:
    dtypes = {each.name: each.dtype for each in outputs}
    left: dict[str, Array] = {name: np.asarray(value, dtypes[name]) for name, value in expected.items()}
    right: dict[str, Array] = {
        name: value if isinstance(value, np.ndarray) else np.asarray(value, dtypes[name])
        for name, value in actual.items()
    }
    signature = Signature(inputs=(INPUT,), outputs=outputs)
    found = check_parity([left], [right], ["p"], signature, function="main", tie_tolerance=tie_tolerance)
    return {each.output: each for each in found}


def test_the_metrics_are_those_of_the_formulas() -> None:
    found = compare((BEST,), {"best": [[3.0, 4.0, 0.0]]}, {"best": [[3.0, 4.0, 0.5]]})["best"]
    assert found.max_abs_error == 0.5
    assert found.sqnr_db == pytest.approx(20.0)
    assert found.cosine == pytest.approx(25 / (5 * math.sqrt(25.25)))
    assert sum(found.histogram) == found.elements == 3
    assert found.worst_probe == "p"


def test_equal_outputs_have_no_noise() -> None:
    found = compare((BEST,), {"best": [[1, 2, 3]]}, {"best": [[1, 2, 3]]})["best"]
    assert (found.max_abs_error, found.sqnr_db, found.cosine, found.failure) == (0, math.inf, 1, "")


@pytest.mark.parametrize(
    ("actual", "words"),
    [
        ({}, "missing"),
        ({"best": [[1, math.nan, 3]]}, "1 NaN and 0 infinities"),
        ({"best": [[1, math.inf, 3]]}, "0 NaN and 1 infinities"),
        ({"best": [[1, 2]]}, r"shape (1, 2), expected (1, 3)"),
        ({"best": np.zeros((1, 3), np.float16)}, "dtype float16, expected float32"),
    ],
)
def test_what_makes_metrics_meaningless_fails_before_any(actual: dict[str, object], words: str) -> None:
    found = compare((BEST,), {"best": [[1, 2, 3]]}, actual)["best"]
    assert words in found.failure
    assert math.isnan(found.max_abs_error)
    assert found.elements == 0


def test_an_infinity_of_the_reference_must_come_back() -> None:
    expected = {"best": [[1, 2, -math.inf]]}
    assert compare((BEST,), expected, expected)["best"].failure == ""
    assert "finite" in compare((BEST,), expected, {"best": [[1, 2, -3e38]]})["best"].failure


def test_nothing_compared_is_a_failure() -> None:
    signature = Signature(inputs=(INPUT,), outputs=(BEST,))
    none = check_parity([], [], [], signature, function="main", tie_tolerance=0)
    assert "no probes" in none[0].failure
    empty: Mapping[str, Array] = {"best": np.zeros((0, 3), np.float32)}
    found = check_parity([empty], [empty], ["p"], signature, function="main", tie_tolerance=0)
    assert "no elements" in found[0].failure
    lost = check_parity([empty], [], ["p"], signature, function="main", tie_tolerance=0)
    assert "0 artifact outputs" in lost[0].failure


def test_with_full_scores_an_id_may_change_only_for_one_of_the_same_score() -> None:
    expected = {"scores": [[5, 4, 4, 4, 1]], "ids": [[0, 1, 2]]}
    tied = compare((FULL, IDS), expected, {"scores": [[5, 4, 4, 4, 1]], "ids": [[0, 3, 1]]})
    assert tied["ids"].mismatches == 0
    wrong = compare((FULL, IDS), expected, {"scores": [[5, 4, 4, 4, 1]], "ids": [[0, 1, 4]]})
    assert wrong["ids"].mismatches == 1
    beyond = compare((FULL, IDS), expected, {"scores": [[5, 4, 4, 4, 1]], "ids": [[0, 1, 70]]})
    assert beyond["ids"].mismatches == 1


def test_with_paired_scores_ids_that_wrapped_are_no_ties_though_their_scores_agree() -> None:
    expected = {"best": [[9, 6, 2]], "ids": [[69999, 7, 8]]}
    wrapped = compare((BEST, IDS), expected, {"best": [[9, 6, 2]], "ids": [[4463, 7, 8]]})
    assert wrapped["ids"].mismatches == 1


def test_with_paired_scores_neighbours_of_equal_score_may_swap_and_the_last_may_be_another() -> None:
    expected = {"best": [[9, 6, 6]], "ids": [[1, 2, 3]]}
    assert compare((BEST, IDS), expected, {"best": [[9, 6, 6]], "ids": [[1, 3, 2]]})["ids"].mismatches == 0
    assert compare((BEST, IDS), expected, {"best": [[9, 6, 6]], "ids": [[1, 2, 4]]})["ids"].mismatches == 0
    assert compare((BEST, IDS), expected, {"best": [[9, 6, 5]], "ids": [[1, 2, 4]]})["ids"].mismatches == 1
    assert compare((BEST, IDS), expected, {"best": [[9, 6, 6]], "ids": [[2, 1, 3]]})["ids"].mismatches == 2


def test_an_id_that_stands_twice_is_never_a_tie() -> None:
    expected = {"best": [[6, 6, 6]], "ids": [[1, 2, 3]]}
    assert compare((BEST, IDS), expected, {"best": [[6, 6, 6]], "ids": [[1, 1, 3]]})["ids"].mismatches == 1


def test_without_scores_ids_are_compared_exactly_and_a_wider_tolerance_forgives_more() -> None:
    assert compare((IDS,), {"ids": [[1, 2, 3]]}, {"ids": [[2, 1, 3]]})["ids"].mismatches == 2
    expected = {"best": [[9.0, 6.01, 6.0]], "ids": [[1, 2, 3]]}
    swapped = {"best": [[9.0, 6.01, 6.0]], "ids": [[1, 3, 2]]}
    assert compare((BEST, IDS), expected, swapped)["ids"].mismatches == 2
    assert compare((BEST, IDS), expected, swapped, tie_tolerance=0.01)["ids"].mismatches == 0
