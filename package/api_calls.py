"""The calls of a bundle's API vectors, drawn from its contract and vocabularies alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pocketrec.contract import Feature
from pocketrec.package.api import ALL_BUT, ApiCall, ApiVectors, answered, is_written
from pocketrec.package.api_rules import NO_ITEM, odd_words, rules_of
from pocketrec.package.host.answering import ROLES
from pocketrec.package.host.calls import Host, States
from pocketrec.package.host.items import Items
from pocketrec.package.host.roles import SEQUENCES, Call, along, has_rows, is_text, rest_of

_TEXT = "the quick brown fox jumps"
_LISTED = 5  # items of most answers


def api_vectors(host: Host) -> ApiVectors:
    """The API vectors of a model, answered by it; calls to which it gives no number are left out."""
    sessions: dict[str, States] = {}
    asked = [each for call in host.calls.values() if call.role in ROLES for each in _Calls(host, call).all()]
    calls = [
        answered(host, each, sessions.setdefault(each.session, {}) if each.session else None)
        for each in asked
    ]
    calls = [each for each in calls if _gives_numbers(each)]
    return ApiVectors(
        schema=1,
        contract_sha256=host.contract.sha256(),
        calls=tuple(calls),
        rules=tuple(rules_of(host)),
    )


def _gives_numbers(call: ApiCall) -> bool:
    """Whether the model gave numbers: JSON has neither NaN nor infinities."""
    if call.error is not None:
        return call.error["code"] != "bad_score"
    return is_written(call.answer)


class _Calls:
    """The calls of one function."""

    def __init__(self, host: Host, call: Call) -> None:
        self.host, self.shown = host, call
        self.signature = host.contract.functions[call.function]
        self.items = host.vocabularies.get(call.items)

    def all(self) -> Iterator[ApiCall]:
        """Every call that shows a rule of the role."""
        base = self.base()
        yield self.call("as an app would", base)
        yield from self._wrong(base)
        yield from self._words(base)
        if self.shown.role in ("recommend", "search", "generate"):
            yield from self._lists(base)
        if self.shown.role == "rank":
            yield from self._ranks(base)
        if self.shown.role == "arrange":
            yield self.call("one of the page", {**base, "k": 1})
            yield self.call("an empty page", {**base, "candidates": [], **self._beside("candidates", 0)})
        if self.shown.role == "decide":
            for draw in (0.0, 0.5, 0.999):
                yield self.call(f"drawn by {draw}", {**base, "draw": draw})
            yield self.call("a draw of 1", {**base, "draw": 1})
        if self.signature.states:
            for number in (1, 2, 3):
                yield self.call(f"call {number} of a session", base, session=f"{self.shown.method} session")

    def call(self, name: str, arguments: Mapping[str, Any], session: str = "") -> ApiCall:
        """A call that has not been answered."""
        return ApiCall(
            name=name,
            function=self.shown.function,
            method=self.shown.method,
            arguments=dict(arguments),
            session=session,
        )

    def base(self) -> dict[str, Any]:
        """Arguments that the model takes."""
        found = {
            name: self.value(self.signature.input(feature), place)
            for place, (name, feature) in enumerate(self.shown.arguments.items())
        }
        if self.shown.role == "rank":
            items = self.vocabulary(self.signature.input(self.shown.candidate))
            found["candidates"] = _some(items, 3)
        if self.shown.role in ("recommend", "search", "generate"):
            found["k"] = _LISTED
        return found

    def value(self, feature: Feature, place: int = 0) -> Any:
        """Something that a feature takes."""
        if is_text(self.host.contract, feature):
            return _TEXT
        if feature.kind in SEQUENCES:
            return _some(self.vocabulary(feature), self.drawn(feature.shape[-1]))
        if feature.kind == "id":
            return _some(self.vocabulary(feature), 3)[-1]
        source = along(self.signature, feature)
        if source is not None:
            return self._numbers(feature, [self.drawn(source.shape[-1])], place)
        sizes = [self.size(each) for each in rest_of(self.signature, feature)]
        return self._numbers(feature, sizes, place)

    def drawn(self, axis: int | str) -> int:
        """How many entries of a sequence, and of what runs along it, are drawn."""
        return min(3, self.host.contract.bounds(axis)[1])

    def size(self, axis: int | str) -> int:
        """How long any other axis of the drawn arguments is."""
        low, high = self.host.contract.bounds(axis)
        return low if low == high else min(3, high)

    def _numbers(self, feature: Feature, shape: list[int], place: int) -> Any:
        if shape:
            return [self._numbers(feature, shape[1:], place + number) for number in range(shape[0])]
        if feature.dtype == "bool":
            return True
        if feature.kind != "dense":
            return 1
        span = feature.maximum - feature.minimum
        value = feature.minimum + span * ((place * 3) % 8) / 8
        return value if feature.dtype == "float32" else int(value)

    def vocabulary(self, feature: Feature) -> Items:
        """The items that a feature's words are looked up among."""
        return self.host.vocabularies[str(feature.vocabulary)]

    def _wrong(self, base: Mapping[str, Any]) -> Iterator[ApiCall]:
        """Arguments that are missing, surplus, or something else than words."""
        yield self.call("an argument that there is not", {**base, "no_such_argument": 1})
        for name, feature in self.shown.arguments.items():
            yield self.call(f"without {name}", {key: each for key, each in base.items() if key != name})
            each = self.signature.input(feature)
            if each.dtype == "float32" and not rest_of(self.signature, each):
                yield self.call(f"{name} is more than float32 holds", {**base, name: 1e39})
            if each.is_id:
                yield self.call(f"{name} is a number", {**base, name: 7})
                yield self.call(f"{name} holds a number", {**base, name: [7]})

    def _words(self, base: Mapping[str, Any]) -> Iterator[ApiCall]:
        """Words that are no items, or several."""
        for name, feature in self.shown.arguments.items():
            each = self.signature.input(feature)
            if not each.is_id or is_text(self.host.contract, each) or name == "candidates":
                continue
            items = self.vocabulary(each)
            for what, word in odd_words(items):
                value: Any = word if each.kind == "id" else [word]
                yield self.call(f"{name}: {what}", {**base, name: value, **self._beside(feature, 1)})

    def _beside(self, feature: str, count: int) -> dict[str, Any]:
        """What runs along a sequence, `count` numbers of it."""
        axis = self.signature.input(self.shown.arguments.get(feature, feature)).shape[-1:]
        names = {each: name for name, each in self.shown.arguments.items()}
        return {
            names[each.name]: [self.value(each)[0]] * count
            for each in self.signature.inputs
            if each.kind == "dense" and each.shape[-1:] == axis and len(each.shape) > 1 and each.name in names
        }

    def _lists(self, base: Mapping[str, Any]) -> Iterator[ApiCall]:
        """Lengths of the history and of the list, and what is excluded."""
        items = self.items
        assert items is not None  # the role has items
        yield from self._lengths(base)
        for k in (0, 1):
            yield self.call(f"k of {k}", {**base, "k": k})
        for wrong in (-1, 1.5, "ten"):
            yield self.call(f"k of {wrong}", {**base, "k": wrong})
        kept = _some(items, 3)
        yield self.call("more than there is", {**base, "excluding": {ALL_BUT: kept}, "k": 10})
        yield self.call("everything excluded", {**base, "excluding": {ALL_BUT: []}})
        yield self.call("some excluded, and what is no item", {**base, "excluding": [*kept, NO_ITEM]})
        yield self.call("excluding is a word", {**base, "excluding": kept[0]})

    def _lengths(self, base: Mapping[str, Any]) -> Iterator[ApiCall]:
        for name, feature in self.shown.arguments.items():
            each = self.signature.input(feature)
            if each.kind not in ("id_sequence", "id_bag") or is_text(self.host.contract, each):
                continue
            most = self.host.contract.bounds(each.shape[-1])[1]
            words = _some(self.vocabulary(each), 7)
            longer = [words[place % len(words)] for place in range(most + 2)]
            for what, value in (
                ("nothing", []),
                ("one item", words[:1]),
                ("one item twice", words[:1] * 2),
                ("longer than the limit", longer),
            ):
                yield self.call(f"{name}: {what}", {**base, name: value, **self._beside(feature, len(value))})

    def _ranks(self, base: Mapping[str, Any]) -> Iterator[ApiCall]:
        """Candidates: none, one, one twice, unknown ones, as records, and more than fit one run."""
        feature = self.signature.input(self.shown.candidate)
        words = _some(self.vocabulary(feature), 5)
        most = self.host.contract.bounds(feature.shape[0])[1] if has_rows(self.signature) else 1
        yield self.call("without candidates", {key: base[key] for key in base if key != "candidates"})
        yield self.call("candidates are a word", {**base, "candidates": words[0]})
        more = [words[place % len(words)] for place in range(min(most, 256) + 1)]
        for what, value in (("none", []), ("one", words[:1]), ("one twice", words[:1] * 2), ("many", more)):
            yield self.call(f"candidates: {what}", {**base, "candidates": value})
        yield self.call("candidates: an unknown one", {**base, "candidates": [words[0], NO_ITEM]})
        own = [{self.shown.candidate: word} for word in words[:2]]
        yield self.call("candidates as records", {**base, "candidates": own})
        wrong = [{self.shown.candidate: words[0], "no_such_feature": 1}]
        yield self.call("a record with another feature", {**base, "candidates": wrong})
        yield self.call("a record without its item", {**base, "candidates": [{}]})


def _some(items: Items, count: int) -> list[str]:
    """Tokens of items, spread over the vocabulary, that no other item's title is."""
    places = [place for place in range(len(items.tokens)) if items.is_item(place)]
    step = max(1, len(places) // count)
    return [items.tokens[each] for each in places[step // 2 :: step][:count]]
