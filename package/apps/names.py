"""The names of a bundle and of its contract, as languages with classes and camel case spell them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable

from pocketrec.errors import UsageError

_LONGEST = 80  # letters of a class; folders are named after it twice, and systems allow 255
_WORDS = re.compile(r"[A-Za-z0-9]+")


def type_name(name: str, *, stated: str = "", taken: Collection[str] = ()) -> str:
    """The name of a bundle's class: the stated one, else the bundle's: `two-tower` is `TwoTower`.

    A bundle's that is taken ends in `Model`; UsageError where a stated one is taken.
    """
    if stated in taken:
        raise UsageError(
            f"type_name is {stated!r}, which the package calls something else; state another in the recipe"
        )
    if stated:
        return stated
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    found = capitals(_WORDS.findall(plain))[:_LONGEST] or "Recommender"
    if found[0].isdigit():
        found = f"Model{found}"
    while found in taken:
        found = f"{found}Model"
    return found


def capitals(words: Iterable[str]) -> str:
    """The words as one, each with a capital."""
    return "".join(word[0].upper() + word[1:] for word in words)


def camel(name: str) -> str:
    """A contract's name in camel case: `user_age` is `userAge`."""
    first, *rest = [each for each in name.split("_") if each] or [name]
    return first + capitals(rest)


def camels(names: Iterable[str], *, taken: Iterable[str] = ()) -> dict[str, str]:
    """Each name in camel case; one whose spelling is another's, or taken, keeps its own or gets a mark."""
    found: dict[str, str] = {}
    used = set(taken)
    for name in names:
        spelled = next(each for each in (camel(name), name, *_marked(name)) if each not in used)
        used.add(spelled)
        found[name] = spelled
    return found


def _marked(name: str) -> Iterable[str]:
    return (f"{name}{'_' * count}" for count in range(1, 1000))
