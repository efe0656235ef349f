"""Several claims made of intervals at once, so that all of them hold together at the stated confidence.

Source: Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics
1979, in terms of intervals in place of p-values.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pocketrec.report import Interval


def holm(levels: Sequence[Sequence[Interval]], holds: Callable[[int, Interval], bool]) -> list[bool]:
    """Of which intervals it can be said together, at the confidence of each one's first, that they hold.

    With n claims left, those whose interval at the confidence for n holds are made, and drop out, until none
    does.

    Args:
        levels: of each claim the intervals for 1, 2, 3 … claims; as many as there are claims, at least.
        holds: whether an interval of the claim of that number makes it.
    """
    left = set(range(len(levels)))
    while left:
        last = len(left) - 1
        made = {each for each in left if len(levels[each]) > last and holds(each, levels[each][last])}
        if not made:
            break
        left -= made
    return [each not in left for each in range(len(levels))]


def confidences(claims: int, confidence: float) -> tuple[float, ...]:
    """The confidences of the intervals that `holm` asks for: for one claim, for two, and so on."""
    return tuple(1 - (1 - confidence) / each for each in range(1, claims + 1))
