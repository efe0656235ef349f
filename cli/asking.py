"""A bundle asked by a command: its arguments as options, and mistakes with the option that mends them."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pocketrec.errors import CallError, UsageError, meant
from pocketrec.outside import parse_json

if TYPE_CHECKING:
    from pocketrec.package.host.answers import Answer
    from pocketrec.package.host.items import Items
    from pocketrec.pipeline.app import Recommender

_MOST_NAMED = 30  # words of a vocabulary in one message


def argument_of(model: Recommender, method: str, stated: str) -> tuple[str, Any]:
    """An argument and its value: JSON where it is a list, an object, or no argument of words; else a word."""
    name, mark, value = stated.partition("=")
    if not name or not mark:
        raise UsageError(f"--set {stated!r}: expected NAME=VALUE")
    if value[:1] in ("[", "{", '"'):
        return name, parse_json(value, name=f"--set {name}", error=UsageError)
    if model.takes_words(method, name):
        return name, value
    try:
        return name, parse_json(value, name=f"--set {name}", error=UsageError)
    except UsageError:
        return name, value  # the call says what was expected


def ask(model: Recommender, method: str, given: Mapping[str, Any]) -> Answer:
    """The answer of a method.

    Raises:
        CallError: as the model's own, with the options that mend the call.
    """
    try:
        return model.call(method, given)
    except CallError as error:
        raise CallError(error.code, f"{error}{_mended(model, method, given, error.code)}") from None


def choices_of(model: Recommender, method: str, given: Mapping[str, Any]) -> dict[str, str]:
    """What an argument can be instead, by each word that is no item, where its vocabulary is short."""
    found: dict[str, str] = {}
    for name, value in given.items():
        items = _items(model, method, name)
        if items is None or len(items.tokens) > _MOST_NAMED:
            continue
        for word in value if isinstance(value, list) else [value]:
            if isinstance(word, str) and items.find(word) is None:
                known = ", ".join(
                    items.shown(each) for each in range(len(items.tokens)) if items.is_item(each)
                )
                found.setdefault(word, f"{name} is one of {known}")
    return found


def _mended(model: Recommender, method: str, given: Mapping[str, Any], code: str) -> str:
    """The end of a message: what a refused call lacks, or what may have been meant."""
    known = model.methods[method]
    if code == "missing_feature":
        lacking = [name for name in model.check_method(method).arguments if name not in given]
        options = " ".join(_option(model, method, name) for name in lacking)
        return f", such as {options}" if options else ""
    if code == "unknown_feature":
        return next((meant(name, known) for name in given if name not in known), "")
    if code == "unknown_item":
        return next((f"; {each}" for each in choices_of(model, method, given).values()), "")
    return ""


def _option(model: Recommender, method: str, name: str) -> str:
    """The option that gives an argument, with a value that the model knows where it is an item."""
    from pocketrec.package.host.roles import rest_of

    if model.takes_text(method, name):
        return "--text TEXT"
    feature, items = model.feature(method, name), _items(model, method, name)
    assert feature is not None  # an argument that is no option
    if items is None:
        signature = model.contract.functions[model.check_method(method).function]
        return f"--set {name}={'[NUMBER,…]' if rest_of(signature, feature) else 'NUMBER'}"
    first = next((items.tokens[each] for each in range(len(items.tokens)) if items.is_item(each)), "WORD")
    value = first if feature.kind == "id" else json.dumps([first], ensure_ascii=False)
    return shlex.join(["--set", f"{name}={value}"])


def _items(model: Recommender, method: str, name: str) -> Items | None:
    """The vocabulary of an argument of words; None for numbers, options and text."""
    if not model.takes_words(method, name) or model.takes_text(method, name):
        return None
    feature = model.feature(method, name)
    return None if feature is None else model.items(str(feature.vocabulary))
