"""What a change of the contract means to an app that was written for the earlier release."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.package.host.toys import BATCH, FILMS, contract_of, history, scores

from pocketrec.contract import Contract, Dim, Feature, Output, Signature
from pocketrec.package.compare.changes import heaviest, ordered
from pocketrec.package.compare.contracts import contract_changes
from pocketrec.report import Change, Level

AGE = Feature(name="age", kind="dense", dtype="float32", shape=("batch",), minimum=0.0, maximum=99.0)
HEAD = Output(name="click", meaning="logit", shape=("batch",))
LONG = {"batch": BATCH, "length": Dim(min=1, max=50)}


def contract(**more: Any) -> Contract:
    signature = {"inputs": (history(), AGE), "outputs": (scores(),), **more}
    return contract_of(Signature(**signature), dims=LONG)


def changes(new: Contract, old: Contract | None = None) -> list[tuple[str, str]]:
    return [(each.level, f"{each.where}: {each.what}") for each in contract_changes(old or contract(), new)]


def test_the_same_contract_has_no_change() -> None:
    assert changes(contract()) == []


@pytest.mark.parametrize(
    ("new", "level", "said"),
    [
        (contract(inputs=(history(),)), "breaking", "main, input age: is gone"),
        (
            contract(inputs=(history(), replace(AGE, name="years"))),
            "breaking",
            "main, input age: is gone; years came",
        ),
        (contract(inputs=(AGE, history())), "same", "main, inputs: history, age → age, history"),
        (
            contract(inputs=(history(padding_side="right"), AGE)),
            "breaking",
            "main, input history: padding side left → right",
        ),
        (
            contract(inputs=(history(), replace(AGE, unit="months"))),
            "breaking",
            "main, input age: unit none → months",
        ),
        (
            contract(inputs=(history(), replace(AGE, maximum=50.0))),
            "breaking",
            "main, input age: range 0..99 → 0..50",
        ),
        (
            contract(inputs=(history(), replace(AGE, maximum=120.0))),
            "addition",
            "main, input age: range 0..99 → 0..120",
        ),
        (
            contract(inputs=(history(out_of_vocabulary="forbid"), AGE)),
            "breaking",
            "main, input history: unknown items: padding → forbid",
        ),
        (contract(outputs=(scores(), HEAD)), "addition", "main, output click: is new"),
        (
            contract(outputs=(scores(name="ranking"),)),
            "breaking",
            "main, output scores: is gone; ranking came",
        ),
        (
            contract(outputs=(scores(meaning="logit"),)),
            "breaking",
            "main, output scores: meaning score → logit",
        ),
    ],
)
def test_each_change_has_its_level_and_says_from_what_to_what(new: Contract, level: str, said: str) -> None:
    assert (level, said) in changes(new)


def test_a_new_input_breaks_and_a_new_function_does_not() -> None:
    assert ("breaking", "main, input age: is new") in changes(contract(), contract(inputs=(history(),)))
    both = replace(contract(), functions={**contract().functions, "more": contract().functions["main"]})
    assert ("addition", "function more: is new") in changes(both)
    assert ("breaking", "function more: is gone") in changes(contract(), both)


@pytest.mark.parametrize(
    ("most", "level", "said"),
    [
        (20, "breaking", "main, input history: axis 1 1..50 → 1..20"),
        (80, "addition", "main, input history: axis 1 1..50 → 1..80"),
    ],
)
def test_a_length_that_shrinks_breaks_and_one_that_grows_does_not(most: int, level: str, said: str) -> None:
    new = replace(contract(), dims={"batch": BATCH, "length": Dim(min=1, max=most)})
    assert changes(new) == [(level, said)]


def test_scores_that_grow_with_the_vocabulary_are_no_change_of_their_own() -> None:
    grown = replace(
        contract(outputs=(scores(shape=("batch", 7)),)), vocabularies={"film": replace(FILMS, size=7)}
    )
    assert changes(grown) == []
    alone = changes(contract(outputs=(scores(shape=("batch", 7)),)))
    assert ("breaking", "main, output scores: axis 1 6 → 7") in alone


def test_what_breaks_comes_first_and_decides() -> None:
    levels: tuple[Level, ...] = ("same", "breaking", "addition")
    found = [Change(level=each, where="", what="") for each in levels]
    assert [each.level for each in ordered(found)] == ["breaking", "addition", "same"]
    assert (heaviest(found), heaviest(found[:1]), heaviest([])) == ("breaking", "same", "same")
