"""Two lists as one, so that a user's clicks say which of them was better.

a, b ─▶ a list in which each next item is the best one left of a or of b ─▶ clicks ─▶ credit: above 0 for a

Every function takes the generator that decides; a list has distinct items, the best first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

from pocketrec.errors import UsageError

Doubles = npt.NDArray[np.float64]
Credit = Literal["binary", "linear", "inverse"]

LONGEST = 12  # lists that are interleaved by optimization: their mixes are up to 2**k
_KEPT = 1 << 14  # patterns of two lists whose solution is remembered
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixed:
    """An interleaved list.

    Attributes:
        items: the best first.
        counts: of a click on each of them: above 0 for the first list, below 0 for the second.
    """

    items: tuple[int, ...]
    counts: tuple[float, ...]


def team_draft(first: Sequence[int], second: Sequence[int], k: int, rng: np.random.Generator) -> Mixed:
    """The lists as two captains would pick teams, a coin deciding who goes first in every round.

    Each picks the best item of its list that is left; a click counts for the team whose item it is.
    Radlinski, Kurup & Joachims, "How does clickthrough data reflect retrieval quality?", 2008. Ends where one
    list has nothing left.

    Args:
        first: item ids.
        second: item ids.
        k: the longest that the list may be.
        rng: for the coins.
    """
    check_lists(first, second, k)
    items: list[int] = []
    counts: list[float] = []
    picks = {1.0: 0, -1.0: 0}
    while len(items) < k:
        left = {1.0: _left(first, items), -1.0: _left(second, items)}
        if left[1.0] is None or left[-1.0] is None:
            break
        behind = picks[1.0] - picks[-1.0]
        team = (1.0 if rng.random() < 0.5 else -1.0) if behind == 0 else (1.0 if behind < 0 else -1.0)
        pick = left[team]
        assert pick is not None
        items.append(pick)
        counts.append(team)
        picks[team] += 1
    return Mixed(items=tuple(items), counts=tuple(counts))


def _left(items: Sequence[int], taken: Sequence[int]) -> int | None:
    return next((each for each in items if each not in taken), None)


def check_lists(first: Sequence[int], second: Sequence[int], k: int) -> None:
    """Checks that two lists can be mixed; UsageError where one repeats an item, or k is none."""
    if k < 1:
        raise UsageError(f"k is {k}; expected 1 or more")
    for name, items in (("first", first), ("second", second)):
        if len(set(items)) < len(items):
            twice = next(each for place, each in enumerate(items) if each in items[:place])
            raise UsageError(f"the {name} list has item {twice} twice; expected each item once")


@dataclass(frozen=True, slots=True, kw_only=True)
class Mixture:
    """The lists that may be shown, how often each is, and what a click on each of their items counts.

    Attributes:
        mixes: item ids of each list.
        chances: of each, summing to 1.
        counts: of each item of each list.
    """

    mixes: tuple[tuple[int, ...], ...]
    chances: tuple[float, ...]
    counts: tuple[tuple[float, ...], ...]

    def draw(self, rng: np.random.Generator) -> Mixed:
        """One of the lists, by its chance."""
        place = int(rng.choice(len(self.mixes), p=self.chances))
        return Mixed(items=self.mixes[place], counts=self.counts[place])


def optimized(first: Sequence[int], second: Sequence[int], k: int, *, credit: Credit = "linear") -> Mixture:
    """The most telling mixture of all mixes that no user who clicks at random can tilt.

    Over chances p of the mixes L: maximize the sum of p(L) s(L) under sum of p(L) = 1 and, for every depth d,
    the sum of p(L) times what its first d items count = 0: whoever clicks on a random one of the first d
    items credits neither list. The sensitivity s(L) is that of a click at place i with chance in proportion
    to 1 / i: the chance that it is no tie, times the entropy of who wins then. Radlinski & Craswell,
    "Optimized interleaving for online retrieval evaluation", 2013; a linear program, solved exactly.

    Args:
        first: item ids.
        second: item ids, as many.
        k: the length of the mixes.
        credit: of a click on an item at ranks r1 and r2: `linear`, r2 - r1, `inverse`, 1 / r1 - 1 / r2, or
            `binary`, the sign of either, for which some pairs of lists have no such mixture. An item that a
            list lacks stands behind its last.

    Raises:
        UsageError: a list is shorter than k or repeats an item, k is too large, or no such mixture exists.
    """
    check_lists(first, second, k)
    if not len(first) == len(second) >= k:
        raise UsageError(f"lists of {len(first)} and {len(second)} items; expected {k} or more of each")
    if k > LONGEST:
        raise UsageError(f"k is {k}; expected {LONGEST} at most: there are up to 2^k mixes, use team draft")
    known = list(first[:k])
    known += [each for each in second[:k] if each not in known]
    places = {each: place for place, each in enumerate(known)}
    chances, mixes, counts = _solved(tuple(places[each] for each in second[:k]), credit)
    return Mixture(
        mixes=tuple(tuple(known[each] for each in mix) for mix in mixes), chances=chances, counts=counts
    )


_Solved = tuple[tuple[float, ...], tuple[tuple[int, ...], ...], tuple[tuple[float, ...], ...]]


@lru_cache(maxsize=_KEPT)
def _solved(second: tuple[int, ...], credit: Credit) -> _Solved:
    """Chances, mixes and counts where the first list is 0, 1, 2, ...; it depends on nothing else."""
    first = tuple(range(len(second)))
    mixes = mixes_of(first, second, len(first))
    worth = [_worth(first, second, item, credit) for item in range(max((*first, *second)) + 1)]
    counts = np.array(worth)[np.array(mixes)]
    chances = _most_sensitive(counts)
    if chances is None:
        raise UsageError(
            f"no mixture of lists like {first} and {second} is fair by {credit} credit; use team draft"
        )
    shown = np.flatnonzero(chances > _ROUNDING)
    kept = chances[shown] / chances[shown].sum()
    return (
        tuple(kept.tolist()),
        tuple(mixes[each] for each in shown),
        tuple(tuple(counts[each].tolist()) for each in shown),
    )


def mixes_of(first: Sequence[int], second: Sequence[int], k: int) -> tuple[tuple[int, ...], ...]:
    """All lists of k items in which each next one is the best left of either list, in a fixed order."""
    found: list[tuple[int, ...]] = [()]
    for _ in range(k):
        longer = [(*mix, _left(items, mix)) for mix in found for items in (first, second)]
        found = list(dict.fromkeys(each for each in longer if each[-1] is not None))  # type: ignore[misc]
    return tuple(found)


def _worth(first: Sequence[int], second: Sequence[int], item: int, credit: Credit) -> float:
    ranks = [each.index(item) + 1 if item in each else len(each) + 1 for each in (first, second)]
    if credit == "inverse":
        return 1 / ranks[0] - 1 / ranks[1]
    ahead = float(ranks[1] - ranks[0])
    return ahead if credit == "linear" else float(np.sign(ahead))


def _most_sensitive(counts: Doubles) -> Doubles | None:
    """The chances that solve the program over mixes of such counts, `[mixes, k]`; None: it has no
    solution.
    """
    from scipy.optimize import linprog

    equal = np.vstack([np.ones(len(counts)), np.cumsum(counts, axis=1).T])
    right = np.zeros(len(equal))
    right[0] = 1
    done = linprog(-sensitivities(counts), A_eq=equal, b_eq=right, bounds=(0, 1), method="highs")
    return np.asarray(done.x, np.float64) if done.status == 0 else None


def sensitivities(counts: Doubles) -> Doubles:
    """Of each mix, how telling a click is that comes at place i with chance in proportion to 1 / i."""
    clicks = 1 / np.arange(1, counts.shape[1] + 1)
    clicks /= clicks.sum()
    wins = np.stack([(counts > 0) @ clicks, (counts < 0) @ clicks])
    decided = wins.sum(0)
    shares = np.divide(wins, decided, out=np.zeros_like(wins), where=decided > 0)
    terms = np.where(shares > 0, shares * np.log2(np.where(shares > 0, shares, 1)), 0.0)
    found: Doubles = decided * -terms.sum(0)
    return found


Interleave = Callable[[Sequence[int], Sequence[int], int, np.random.Generator], Mixed]


def optimized_draw(first: Sequence[int], second: Sequence[int], k: int, rng: np.random.Generator) -> Mixed:
    """One list of the optimized mixture, with inverse credit."""
    return optimized(first, second, k).draw(rng)


METHODS: dict[str, Interleave] = {"team-draft": team_draft, "optimized": optimized_draw}
