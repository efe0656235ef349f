"""What an item of the history did is the difference that leaving it out makes, by name and by number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from pocketrec.errors import CallError, UsageError
from pocketrec.package.host.answers import Recommendation, Recommendations
from pocketrec.pipeline.explain import explain

WEIGHTS = {"a": 2.0, "b": -0.5, "c": 0.25}


def answer(history: Sequence[str], k: int, cut: float | None = None) -> Recommendations | CallError:
    """Two items: the first scored by the sum of the history's weights, the second always 1."""
    if not history:
        return CallError("too_short", "too few items")
    scores = {7: sum(WEIGHTS[each] for each in history), 9: 1.0}
    listed = [
        Recommendation(id=key, token=f"t{key}", title=f"T{key}", score=value)
        for key, value in sorted(scores.items(), key=lambda each: -each[1])
        if cut is None or value > cut
    ]
    return Recommendations(listed[:k])


def items(history: Sequence[str], k: int) -> Recommendations:
    found = answer(history, k)
    assert isinstance(found, Recommendations)
    return found


def model(cut: float | None = None) -> Any:
    def call_many(_: str, calls: Sequence[Mapping[str, Any]]) -> list[Recommendations | CallError]:
        return [answer(each["history"], each["k"], cut) for each in calls]

    return SimpleNamespace(methods={"recommend": ("history", "k"), "embed": ("age",)}, call_many=call_many)


def test_the_effect_is_the_score_with_less_the_score_without() -> None:
    given: dict[str, Any] = {"history": ["a", "b", "c"], "k": 1}
    listed = items(**given)
    (found,) = explain(model(), "recommend", given, listed)
    assert [(each.given, each.place, each.change) for each in found.moved] == [
        ("a", 1, 2.0),
        ("b", 2, -0.5),
        ("c", 3, 0.25),
    ]
    assert [each.places for each in found.moved] == [1, 0, 0], "without a it is second: its score is -0.25"


def test_an_item_that_is_not_listed_without_it_comes_first_and_has_no_number() -> None:
    given: dict[str, Any] = {"history": ["c", "a"], "k": 2}
    listed = items(**given)
    found = explain(model(cut=0.5), "recommend", given, listed)
    first = found[0].moved[0]
    assert (first.given, first.change, first.places) == ("a", None, None)


def test_what_has_no_history_is_refused_and_a_refusal_of_the_model_is_handed_on() -> None:
    listed = Recommendations([])
    with pytest.raises(UsageError, match="embed was asked without a history"):
        explain(model(), "embed", {"age": 3}, listed)
    with pytest.raises(UsageError, match="recommend was asked without a history"):
        explain(model(), "recommend", {"history": []}, listed)
    with pytest.raises(CallError, match="too few items"):
        explain(model(), "recommend", {"history": ["a"]}, listed)
