"""Short names for the values between a graph's inputs and outputs, which its size is full of otherwise.

What an app gives and takes keeps its name, and so does what is stored, whose name says which tensor it is. Of
the others the origins say where they come from.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from string import ascii_lowercase, digits

_DIGITS = digits + ascii_lowercase
_FIRST = "t"  # a letter, so that it is a name for every format


def short_names(names: Iterable[str], kept: Collection[str]) -> dict[str, str]:
    """A short name for each of the names, in their order; none is one of those that are kept."""
    taken, found, number = set(kept), dict[str, str](), 0
    for name in names:
        if name in taken or name in found:
            continue
        while (short := _FIRST + _written(number)) in taken:
            number += 1
        found[name], number = short, number + 1
    return found


def _written(number: int) -> str:
    return (_written(number // 36) if number >= 36 else "") + _DIGITS[number % 36]
