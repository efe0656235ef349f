"""What of a history moved a list: each item left out in turn, and the list asked for again (ablation)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pocketrec.errors import CallError, UsageError
from pocketrec.package.host.answers import Recommendation, Recommendations
from pocketrec.pipeline.app import Recommender

_ALL = 2**31 - 1  # a k beyond every catalogue


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """What an item of the history did for a listed item.

    Attributes:
        given: the word of the history.
        place: where it stands in the history, from 1.
        change: the listed item's score less what it has without that item; None where the model gives no
            score for it then.
        places: by how many places it stands higher than without; None where it is not listed at all then.
    """

    given: str
    place: int
    change: float | None
    places: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Explained:
    """A listed item, and the history's items in the order in which they moved it, most first."""

    item: Recommendation
    moved: tuple[Moved, ...]


def explain(
    model: Recommender, method: str, arguments: Mapping[str, Any], listed: Recommendations
) -> tuple[Explained, ...]:
    """What each item of the history did for each listed item.

    The history is asked again without each of its items, all in one batch, with every item of the catalogue
    listed; what the artifact computes for that is what an app would get. An effect is of one item alone:
    where two say the same, leaving out either changes little.

    Args:
        model: the bundle.
        method: what was asked.
        arguments: with a `history` of words, of at least one item.
        listed: the answer.

    Raises:
        UsageError: the method takes no history, or there is none.
        CallError: a shorter history is refused.
    """
    history = arguments.get("history")
    if "history" not in model.methods[method] or not isinstance(history, Sequence) or not history:
        raise UsageError(f"explain: {method} was asked without a history; there is nothing to leave out")
    calls = [
        {**arguments, "history": [*history[:place], *history[place + 1 :]], "k": _ALL}
        for place in range(len(history))
    ]
    without = [_answer(each) for each in model.call_many(method, calls)]
    found = [{each.id: (rank, each) for rank, each in enumerate(answer, 1)} for answer in without]
    return tuple(
        Explained(item=item, moved=_by_effect(history, rank, item, found))
        for rank, item in enumerate(listed, 1)
    )


def _answer(given: object) -> Recommendations:
    if isinstance(given, CallError):
        raise given
    assert isinstance(given, Recommendations)
    return given


def _by_effect(
    history: Sequence[str],
    rank: int,
    item: Recommendation,
    found: Sequence[Mapping[int, tuple[int, Recommendation]]],
) -> tuple[Moved, ...]:
    moved = []
    for place, (given, listed) in enumerate(zip(history, found, strict=True), 1):
        other = listed.get(item.id)
        known = other is not None and item.score is not None and other[1].score is not None
        change = item.score - other[1].score if known else None  # type: ignore[operator,index]
        moved.append(
            Moved(given=given, place=place, change=change, places=None if other is None else other[0] - rank)
        )
    return tuple(sorted(moved, key=_largest_first))


def _largest_first(one: Moved) -> tuple[float, float]:
    """Those without which the item is not listed at all, then by the size of the change."""
    if one.places is None:
        return (-float("inf"), one.place)
    size = abs(one.places) if one.change is None else abs(one.change)
    return (-size, one.place)
