"""Two releases compare where they were evaluated alike, whatever their recipes spell out."""

from __future__ import annotations

from typing import Any

import pytest

from pocketrec.pipeline.compare.protocol import (
    changes_of_protocol,
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


@pytest.mark.parametrize("table", [{}, {"evaluate": "words"}, {"evaluate": {"k": {"a": 1}}}])
def test_a_recipe_that_says_nothing_of_evaluation_compares_with_none(table: dict[str, Any]) -> None:
    (one,) = protocols_of(table).values()
    assert obstacle(one, protocol_of(STATED))
