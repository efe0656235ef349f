"""The names of a checkpoint's tensors and a module's: what wraps either of them is looked through.

`torch.nn.parallel` puts `module.` before names and `torch.compile` puts `_orig_mod.` into them; trainers
put a prefix of their own, and the state dict into a dict of more.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from functools import partial
from typing import Any

_WRAPPERS = frozenset({"module", "_orig_mod"})
_NESTED = ("state_dict", "model_state_dict", "model")


def unnested(state: object) -> tuple[Any, str]:
    """The state dict within what trainers save around it, and what to say of it; else `state` itself."""
    if not isinstance(state, Mapping):
        return state, ""
    found = [key for key in _NESTED if isinstance(state.get(key), Mapping)]
    if len(found) != 1:
        return state, ""
    return state[found[0]], f"model.weights: the weights were read from the file's {found[0]!r}"


def renamed(given: Iterable[str], expected: Collection[str]) -> tuple[dict[str, str], str]:
    """The checkpoint's names to the module's, and what to say of it.

    The names themselves where some fit, or where no way of looking through makes all of them fit.
    """
    names, known = list(given), set(expected)
    plain = {name: name for name in names}
    if not names or set(names) <= known or not known:
        return plain, ""
    by_bare = {_bare(name): name for name in known}
    if len(by_bare) == len(known):
        for change, note in _ways(names):
            found = {name: by_bare.get(change(name), "") for name in names}
            if all(found.values()) and len(set(found.values())) == len(names):
                return found, f"model.weights: {note}"
    return plain, ""


def hint(given: Collection[str], expected: Collection[str]) -> str:
    """What to try where names do not fit, as an end of a message; empty where nothing comes near."""
    bare = {_bare(name) for name in expected}
    best = ("", sum(name in expected for name in given))
    for change, note in _ways(list(given)):
        fitting = sum(change(name) in bare for name in given)
        if fitting > best[1]:
            best = (note, fitting)
    if not best[0]:
        return ""
    return f"; {best[1]} of its {len(given)} names would fit if {best[0].replace('were', 'are')}"


def _bare(name: str) -> str:
    return ".".join(each for each in name.split(".") if each not in _WRAPPERS)


def _ways(names: list[str]) -> Iterable[tuple[Callable[[str], str], str]]:
    """Ways to look through wrappers and a common prefix, each with what to say of it."""
    yield _bare, "its names were read without 'module.' and '_orig_mod.'"
    for depth in (1, 2):
        common = {tuple(_bare(name).split(".")[:depth]) for name in names}
        if len(common) == 1:
            prefix = ".".join(next(iter(common))) + "."
            yield partial(_without, prefix), f"its names were read without {prefix!r}"


def _without(prefix: str, name: str) -> str:
    return _bare(name).removeprefix(prefix)
