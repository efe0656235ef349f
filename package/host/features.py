"""An app's arguments as a model's arrays: looked up, cut to the most recent, padded, stacked row by row."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Feature, PaddingSide, Signature, Tokenizer
from pocketrec.errors import CallError
from pocketrec.package.host.answers import Unknown
from pocketrec.package.host.items import Items, shown
from pocketrec.package.host.roles import SEQUENCES, along, axis_of, has_rows, is_text, rest_of, sequence_of

Array = npt.NDArray[np.generic]
Arguments = Mapping[str, Any]
Tokenize = Callable[[str, Tokenizer, Items, int], list[int]]
_FLOAT32_END = (2 - 2**-24) * 2.0**127  # the first number that float32 takes for infinite


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row of a call: the entries of every sequence and the value of every other feature."""

    entries: Mapping[str, list[Any]]
    values: Mapping[str, Any]


@dataclass(slots=True, kw_only=True)
class Encoder:
    """Arguments of one function as arrays; what was unknown is kept in the order of its coming.

    Attributes:
        contract: of the model.
        signature: of the function.
        vocabularies: the items of every vocabulary that is read.
        tokenize: text to ids, for features over a vocabulary with a tokenizer: the text, the tokenizer, the
            vocabulary and the most ids.
        names: what features are called in messages, where it is not their own name.
        spelled: the items that are given where a sequence takes the ids that spell them.
        without: inputs that no argument fills.
        suggests: whether what unknown words may have been meant for is looked for, which takes long.
        unknown: words that no item is, each once.
    """

    contract: Contract
    signature: Signature
    vocabularies: Mapping[str, Items]
    tokenize: Tokenize
    names: Mapping[str, str] = field(default_factory=dict)
    spelled: Items | None = None
    without: frozenset[str] = frozenset()
    suggests: bool = True
    unknown: dict[str, Unknown] = field(default_factory=dict)

    def arrays(self, rows: Sequence[Arguments]) -> dict[str, Array]:
        """Every input of the function but its states, a row for each of `rows`; values by features' names.

        Raises:
            CallError: names the argument, what came and what was expected.
        """
        encoded = [self._row(each) for each in rows]
        lengths = self._lengths(encoded)
        return {
            each.name: self._stacked(each, [self._filled(each, row, lengths) for row in encoded])
            for each in self.signature.inputs
            if each.kind != "state" and each.name not in self.without
        }

    def _named(self, feature: Feature) -> str:
        return self.names.get(feature.name, feature.name)

    def _stacked(self, feature: Feature, rows: list[Any]) -> Array:
        dtype = np.dtype(feature.dtype)
        if has_rows(self.signature):
            low, _ = self.contract.bounds(feature.shape[0])
            rows = rows + [rows[-1]] * (low - len(rows))  # a batch that is never smaller
            return np.array(rows, dtype)
        return np.array(rows[0], dtype)

    def _row(self, arguments: Arguments) -> Row:
        entries: dict[str, list[Any]] = {}
        values: dict[str, Any] = {}
        for each in self.signature.inputs:
            if each.name not in arguments:
                continue
            given = arguments[each.name]
            if each.kind in SEQUENCES:
                entries[each.name] = self._sequence(each, given)
            elif along(self.signature, each) is not None:
                entries[each.name] = self._recent(
                    each, _listed(self._named(each), given, "a list of numbers")
                )
            elif each.kind == "id":
                values[each.name] = self._id(each, self._named(each), given)
            else:
                values[each.name] = given
        return Row(entries=entries, values=values)

    def _sequence(self, feature: Feature, given: Any) -> list[Any]:
        if is_text(self.contract, feature):
            return self._text(feature, given)
        words = _listed(self._named(feature), given, "a list of items")
        if self.spelled is not None and self.spelled.spec.spelled_in == feature.vocabulary:
            return self._spelled(feature, words, self.spelled)
        ids = [
            self._id(feature, f"{self._named(feature)}[{place}]", word) for place, word in enumerate(words)
        ]
        return self._recent(feature, ids)

    def _spelled(self, feature: Feature, words: list[Any], items: Items) -> list[Any]:
        """The ids that spell the most recent items, whole ones; an unknown one is as many as an item has."""
        length = len(next(iter(items.spelled.values()), ()))
        spelled: list[tuple[int, ...]] = []
        for place, word in enumerate(words):
            where = f"{self._named(feature)}[{place}]"
            found = self._place(where, word, items)
            policy = self._fallback(feature, word, items) if found is None else 0
            spelled.append((policy,) * length if found is None else items.spelled[found])
        kept = self._bounds(feature)[1] // max(1, length)
        return [each for ids in spelled[len(spelled) - kept if kept < len(spelled) else 0 :] for each in ids]

    def _text(self, feature: Feature, given: Any) -> list[int]:
        if not isinstance(given, str):
            raise _wrong(self._named(feature), given, "text")
        vocabulary = str(feature.vocabulary)
        tokenizer = self.contract.vocabularies[vocabulary].tokenizer
        assert tokenizer is not None
        most = self._bounds(feature)[1]
        return self.tokenize(given, tokenizer, self.vocabularies[vocabulary], most)

    def _recent(self, feature: Feature, entries: list[Any]) -> list[Any]:
        """The most recent entries, which come last, as many as the contract allows."""
        return entries[-self._bounds(feature)[1] :]

    def _id(self, feature: Feature, where: str, word: Any) -> int:
        items = self.vocabularies[str(feature.vocabulary)]
        place = self._place(where, word, items)
        return self._fallback(feature, word, items) if place is None else place

    def _place(self, where: str, word: Any, items: Items) -> int | None:
        if not isinstance(word, str):
            raise _wrong(where, word, "a token or a title")
        return items.find(word)

    def _fallback(self, feature: Feature, word: str, items: Items) -> int:
        """What stands for a word that is no item, as the feature says."""
        policy = feature.out_of_vocabulary
        if policy == "forbid":
            raise items.refused(word)
        if word not in self.unknown:  # what it may have been meant for is looked for once
            self.unknown[word] = items.unknown(word) if self.suggests else Unknown(given=word)
        spec = self.contract.vocabularies[str(feature.vocabulary)]
        found = spec.padding_id if policy == "padding" else spec.unknown_id
        assert found is not None  # the contract's own check
        return found

    def _bounds(self, feature: Feature) -> tuple[int, int]:
        axis = axis_of(self.signature, feature)
        assert axis is not None  # a sequence, or what runs along one
        return self.contract.bounds(axis)

    def _lengths(self, rows: Sequence[Row]) -> dict[int | str, int]:
        """How long every axis of sequences is: the longest row, and at least what the contract says.

        A row of padding alone is as long as the contract allows: what a model makes of it depends on its
        length, and artifacts of a fixed length have no other.
        """
        found: dict[int | str, int] = {}
        for each in self.signature.inputs:
            axis = axis_of(self.signature, each)
            if each.kind not in SEQUENCES or axis is None:
                continue
            low, high = self.contract.bounds(axis)
            padding = self.vocabularies[str(each.vocabulary)].spec.padding_id
            for row in rows if each.name not in self.without else ():
                entries = row.entries[each.name]
                empty = padding is not None and all(entry == padding for entry in entries)
                found[axis] = max(found.get(axis, low), high if empty else len(entries))
        return found

    def _filled(self, feature: Feature, row: Row, lengths: Mapping[int | str, int]) -> Any:
        """One row of a feature."""
        axis = axis_of(self.signature, feature)
        if feature.name in row.entries:
            assert axis is not None
            entries = row.entries[feature.name]
            self._check_along(feature, axis, row)
            return self._padded(feature, entries, lengths[axis])
        if (
            feature.kind == "mask"
            and axis is not None
            and (source := sequence_of(self.signature, axis)) is not None
        ):
            marks = [1] * len(row.entries[source.name])
            return _pad(marks, lengths[axis], 0, _side(source))
        if feature.kind == "length" and feature.name not in row.values:
            source = next(each for each in self.signature.inputs if each.kind in SEQUENCES)
            return _shaped(feature, self.signature, len(row.entries[source.name]))
        value = row.values[feature.name]
        if feature.kind == "id":
            return _shaped(feature, self.signature, value)
        return self._number(feature, value)

    def _check_along(self, feature: Feature, axis: int | str, row: Row) -> None:
        """Checks that what runs along a sequence is as long as it is."""
        source = sequence_of(self.signature, axis)
        if source is None or source.name not in row.entries:
            return
        expected, came = len(row.entries[source.name]), len(row.entries[feature.name])
        if expected != came:
            raise CallError(
                "wrong_length",
                f"{self._named(feature)} has {came} entries and {self._named(source)} has {expected}; "
                "pass one for each",
            )

    def _padded(self, feature: Feature, entries: list[Any], length: int) -> list[Any]:
        axis = axis_of(self.signature, feature)
        assert axis is not None
        if feature.kind not in SEQUENCES:
            source = sequence_of(self.signature, axis)
            assert source is not None
            numbers = [
                _number(f"{self._named(feature)}[{i}]", each, feature) for i, each in enumerate(entries)
            ]
            return _pad(numbers, length, 0, _side(source))
        padding = self.vocabularies[str(feature.vocabulary)].spec.padding_id
        if padding is None and len(entries) < length:
            raise CallError(
                "too_short",
                f"{self._named(feature)} has {len(entries)} items; expected at least "
                f"{self._bounds(feature)[0]}, as nothing pads it",
            )
        return _pad(entries, length, padding or 0, _side(feature))

    def _number(self, feature: Feature, value: Any) -> Any:
        """A number, or lists of numbers, in the shape of one row."""
        shape = rest_of(self.signature, feature)
        if shape == (1,) and not isinstance(value, list | tuple | np.ndarray):
            value = [value]
        return self._nested(feature, self._named(feature), value, shape)

    def _nested(self, feature: Feature, where: str, value: Any, shape: Sequence[int | str]) -> Any:
        if not shape:
            return _number(where, value, feature)
        low, high = self.contract.bounds(shape[0])
        size = str(low) if low == high else f"{low} to {high}"
        values = _listed(where, value, f"a list of {size} numbers" if len(shape) == 1 else f"{size} lists")
        if not low <= len(values) <= high:
            raise CallError("wrong_length", f"{where} has {len(values)} entries; expected {size}")
        return [self._nested(feature, f"{where}[{i}]", each, shape[1:]) for i, each in enumerate(values)]


def _side(feature: Feature) -> PaddingSide:
    return feature.padding_side or "right"


def _pad(entries: list[Any], length: int, value: int, side: PaddingSide) -> list[Any]:
    """The entries, filled with `value` to a length on one side."""
    fill = [value] * (length - len(entries))
    return [*fill, *entries] if side == "left" else [*entries, *fill]


def _shaped(feature: Feature, signature: Signature, value: Any) -> Any:
    """One number in the shape of a row."""
    for _ in rest_of(signature, feature):
        value = [value]
    return value


def _listed(where: str, given: Any, expected: str) -> list[Any]:
    if isinstance(given, np.ndarray) and given.ndim:
        return list(given.tolist())
    if isinstance(given, str) or not isinstance(given, Sequence):
        raise _wrong(where, given, expected)
    return list(given)


def _number(where: str, value: Any, feature: Feature) -> float | int | bool:
    value = value.item() if isinstance(value, np.generic) else value
    if feature.dtype == "bool":
        if not isinstance(value, bool):
            raise _wrong(where, value, "true or false")
        return value
    whole = feature.dtype != "float32"
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < _FLOAT32_END:
        raise _wrong(where, value, "a whole number" if whole else "a finite number")
    if not whole:
        return float(value)
    bound = 2**31 if feature.dtype == "int32" else 2**63
    if value != int(value) or not -bound <= value < bound:
        raise _wrong(where, value, f"a whole number of {feature.dtype}")
    return int(value)


def _wrong(where: str, value: Any, expected: str) -> CallError:
    return CallError("wrong_type", f"{where} is {shown(value)}; expected {expected}")
