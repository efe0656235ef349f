"""The rules of API vectors: what needs no model, asked and answered again.

Each rule has a name, arguments and an answer or an error; `golden/api.json` holds them beside the calls.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from pocketrec.errors import CallError
from pocketrec.package.api import ApiVectors, number_difference
from pocketrec.package.api_text import text_rules
from pocketrec.package.host.best import drawn, sigmoid, softmax, top_k
from pocketrec.package.host.calls import Host
from pocketrec.package.host.items import Items, edit_distance

NO_ITEM = "no such item ☃"
_LONG_WORD = 5  # letters, of which one can be left out and the word be told
_ROUNDING = 1e-12  # of exponential functions, which machines compute to other last digits


def rules_of(host: Host) -> Iterator[dict[str, Any]]:
    """Every rule that needs no model, answered: of scores and words, of the vocabularies, of text."""
    for rule, arguments in (*_scores(), *_words(host)):
        yield _answered(host, rule, arguments)
    yield from text_rules(host)


def replay_rules(host: Host, vectors: ApiVectors) -> str:
    """What the first rule that is answered otherwise has; empty where all are answered alike."""
    if not vectors.rules:
        return "holds no rule, so none is compared; build the bundle again"
    for place, each in enumerate(vectors.rules):
        name, given = each.get("rule"), each.get("arguments")
        known = isinstance(name, str) and name in _RULES
        if not known or not isinstance(given, Mapping):
            return f"rules[{place}]: {name!r} is no rule; build the bundle again"
        wanted = {key: each[key] for key in each if key not in ("rule", "arguments")}
        try:
            found = _answered(host, str(name), given)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError):  # the file is a stranger's
            return f"rules[{place}], {name}: its arguments are none of the rule; build the bundle again"
        came = {key: found[key] for key in found if key not in ("rule", "arguments")}
        if said := number_difference(wanted, came, _ROUNDING, ""):
            return f"rules[{place}], {name}: {said}"
    return ""


def _answered(host: Host, rule: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The rule with its answer, or with the error that it ends with."""
    asked = {"rule": rule, "arguments": arguments}
    try:
        return {**asked, "answer": _RULES[rule](host, arguments)}
    except CallError as error:
        return {**asked, "error": {"code": error.code, "message": str(error)}}


def _find(host: Host, given: Mapping[str, Any]) -> dict[str, Any]:
    items = host.vocabularies[given["vocabulary"]]
    found = items.find(given["word"])
    return {"id": found, "near": [] if found is not None else list(items.near(given["word"]))}


def _tokenize(host: Host, given: Mapping[str, Any]) -> list[int]:
    items = host.vocabularies[given["vocabulary"]]
    if items.spec.tokenizer is None:
        raise KeyError(given["vocabulary"])
    return host.tokenize(given["text"], items.spec.tokenizer, items, given["most"])


def _floats(values: list[float | str]) -> list[float]:
    return [float(each) for each in values]


_RULES: dict[str, Callable[[Host, Mapping[str, Any]], Any]] = {
    "top_k": lambda host, given: top_k(_floats(given["scores"]), given["k"], given["left_out"]),
    "softmax": lambda host, given: softmax(_floats(given["logits"]), given["left_out"]),
    "sigmoid": lambda host, given: sigmoid(given["logit"]),
    "drawn": lambda host, given: drawn(_floats(given["probabilities"]), given["draw"], given["left_out"]),
    "edit_distance": lambda host, given: edit_distance(given["left"], given["right"]),
    "find": _find,
    "tokenize": _tokenize,
}


def _scores() -> Iterator[tuple[str, dict[str, Any]]]:
    """Equal scores, what is never listed, probabilities, draws, edits."""
    lists: list[tuple[list[float], int, list[int]]] = [
        ([1.0, 3.0, 3.0, 2.0], 3, []),
        ([0.0, -0.0, 0.0], 3, [0]),
        ([1.0, -math.inf, 2.0], 3, []),
        ([1.0, math.nan], 1, []),
        ([1.0, math.inf, 2.0], 2, [2]),
        ([], 4, []),
    ]
    for scores, k, left_out in lists:
        yield "top_k", {"scores": [_number(each) for each in scores], "k": k, "left_out": left_out}
    for logits, aside in (([1.0, 2.0, 3.0], [0]), ([-1000.0, 1000.0], []), ([5.0], [0])):
        yield "softmax", {"logits": logits, "left_out": aside}
    for logit in (0.0, 2.5, -2.5, 800.0, -800.0):
        yield "sigmoid", {"logit": logit}
    for chances, draw, aside in (
        ([0.25, 0.25, 0.5], 0.25, []),
        ([0.5, 0.5], 0.999, [1]),
        ([0.0, 0.0], 0.5, []),
    ):
        yield "drawn", {"probabilities": chances, "draw": draw, "left_out": aside}
    for left, right in (
        ("kitten", "kiten"),
        ("ab", "ba"),
        ("😀a", "a"),
        ("e\u0301", "é"),
        ("abcd", "x"),
        ("", ""),
    ):
        yield "edit_distance", {"left": left, "right": right}


def _words(host: Host) -> Iterator[tuple[str, dict[str, Any]]]:
    """How each vocabulary finds words, and what it suggests for those that it does not have."""
    for name, items in sorted(host.vocabularies.items()):
        for _, word in odd_words(items):
            yield "find", {"vocabulary": name, "word": word}


def odd_words(items: Items) -> Iterator[tuple[str, str]]:
    """Words that show how items are looked up: titles, a shared one, a misspelt one, and none."""
    titled = [place for place, title in enumerate(items.titles) if title and items.is_item(place)]
    counts: dict[str, int] = {}
    for place in titled:
        counts[items.titles[place]] = counts.get(items.titles[place], 0) + 1
    tokens = set(items.tokens)
    alone = [items.titles[each] for each in titled if counts[items.titles[each]] == 1]
    own = [each for each in alone if each not in tokens]
    if own:
        yield "by its title", own[len(own) // 2]
        yield "a part of a title", own[0][: max(3, len(own[0]) // 2)]
    shared = next((each for each, count in counts.items() if count > 1 and each not in tokens), None)
    if shared is not None:
        yield "a title of several", shared
    tokens_of_items = [token for place, token in enumerate(items.tokens) if items.is_item(place)]
    word = next((each for each in (own or tokens_of_items) if len(each) > _LONG_WORD), None)
    if word is not None:
        yield "a letter left out", word[:2] + word[3:]
    yield "no item", NO_ITEM
    yield "an empty word", ""
    for place in sorted(items.spec.aside):
        if items.tokens[place]:
            yield f"what is set aside, {place}", items.tokens[place]


def _number(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
