"""Two releases compare where they were evaluated alike, whatever their recipes spell out."""

from __future__ import annotations

from typing import Any

import pytest

from pocketrec.pipeline.compare.protocol import (
    changes_of_protocol,
    changes_of_protocols,
    data_of,
    obstacle,
    protocol_as_read,
    protocol_of,
    protocols_of,
)
from pocketrec.recipe import Evaluate

STATED: dict[str, Any] = {"data": "d.py:data", "kind": "ranking", "output": "scores"}


def test_defaults_and_one_length_are_the_same_spelled_out_or_not() -> None:
    spelled = protocol_as_read(Evaluate(**STATED, k=(10,)))
    assert obstacle(protocol_of(STATED), spelled) == ""
    assert list(changes_of_protocol(protocol_of(STATED), spelled)) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("k", 20),
        ("k", [10, 20]),
        ("data", "other.py:data"),
        ("function", "other"),
        ("output", "other"),
        ("arguments", {"split": "valid"}),
        ("kind", "classification"),
    ],
)
def test_what_figures_depend_on_is_an_obstacle(key: str, value: object) -> None:
    other = protocol_of({**STATED, key: value})
    assert obstacle(protocol_of(STATED), other).startswith(f"evaluate.{key}: ")


@pytest.mark.parametrize("more", [{"metrics": ["mrr"]}, {"slices": {"users": {"by": "history"}}}])
def test_more_that_is_looked_at_is_shown_and_no_obstacle(more: dict[str, Any]) -> None:
    one, other = protocol_of(STATED), protocol_of({**STATED, **more})
    assert obstacle(one, other) == ""
    assert len(list(changes_of_protocol(one, other))) == 1


@pytest.mark.parametrize(
    "table", [{}, {"evaluate": "words"}, {"evaluate": []}, {"evaluate": [3]}, {"evaluate": {"k": {"a": 1}}}]
)
def test_a_recipe_that_says_nothing_of_evaluation_compares_with_none(table: dict[str, Any]) -> None:
    (one,) = protocols_of(table).values()
    assert obstacle(one, protocol_of(STATED))


CLICK, BUY = {**STATED, "output": "click"}, {**STATED, "output": "purchase", "name": "buy"}


def test_heads_are_compared_by_what_they_are_called() -> None:
    old = protocols_of({"evaluate": [CLICK, BUY]})
    assert list(old) == ["click", "buy"]
    assert list(changes_of_protocols(old, protocols_of({"evaluate": [BUY, CLICK]}))) == []
    now = protocols_of({"evaluate": [CLICK, {**BUY, "k": 20}, {**STATED, "name": "more"}]})
    found = list(changes_of_protocols(old, now))
    assert found == ["buy: evaluate.k: [10] → [20]", "evaluate: more is new"]
    assert list(changes_of_protocols(old, protocols_of({"evaluate": CLICK}))) == ["evaluate: buy is gone"]


def test_one_evaluation_is_the_same_under_another_name() -> None:
    one, other = protocols_of({"evaluate": STATED}), protocols_of({"evaluate": {**STATED, "name": "first"}})
    assert len(list(changes_of_protocols(one, other))) == 1, "shown"
    assert obstacle(*one.values(), *other.values()) == ""


def test_each_head_has_the_digest_of_its_own_data() -> None:
    evidence = {"data_sha256": "a", "further_data": {"buy": "b"}}
    assert data_of({"evaluate": [CLICK, BUY]}, evidence) == {"click": "a", "buy": "b"}
    assert data_of({"evaluate": CLICK}, {"data_sha256": "a"}) == {"click": "a"}
    assert data_of({"evaluate": [CLICK, BUY]}, {"further_data": 3}) == {"click": None, "buy": None}
