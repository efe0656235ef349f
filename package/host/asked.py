"""One call on its way: its arguments checked, its features as inputs, its answer's items in words."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Feature, Output
from pocketrec.errors import CallError
from pocketrec.package.host.answers import Answer, Recommendation, Recommendations, Unknown
from pocketrec.package.host.best import check_k
from pocketrec.package.host.features import Array, Encoder
from pocketrec.package.host.items import Items, shown
from pocketrec.package.host.roles import Call, has_rows, is_text, rest_of

Model = Callable[[str, Mapping[str, Array]], Mapping[str, Array]]
# What a role asks its function for, input by input, and the answer at the end: whoever runs the function may
# run it for many calls at once.
Steps = Generator[Mapping[str, Array], Mapping[str, Array], Answer]
_DEFAULT_K = 10


class Asked:
    """One call on its way."""

    def __init__(
        self,
        model: Model,
        call: Call,
        given: Mapping[str, Any],
        encoder: Encoder,
    ) -> None:
        self.call, self.given, self.encoder = call, given, encoder
        self.contract, self.signature = encoder.contract, encoder.signature
        self._model = model

    @property
    def items(self) -> Items:
        """The items of the function."""
        return self.encoder.vocabularies[self.call.items]

    def k(self) -> int:
        """How many items are asked for."""
        return check_k(self.given.get("k", _DEFAULT_K))

    def left_out(self) -> set[int]:
        """The ids that are never listed: what is set aside, and what the call excludes."""
        given = self.given.get("excluding", ())
        if isinstance(given, str) or not isinstance(given, Sequence | set | frozenset):
            raise CallError("wrong_type", f"excluding is {shown(given)}; expected a list of items")
        found = set(self.items.spec.aside)
        for place, word in enumerate(given):
            if not isinstance(word, str):
                raise CallError(
                    "wrong_type", f"excluding[{place}] is {shown(word)}; expected a token or a title"
                )
            item = self.items.find(word)
            if item is not None:
                found.add(item)
        return found

    def features(self, *records: Mapping[str, Any]) -> list[dict[str, Any]]:
        """The features of every record, those of the call where it has none of its own."""
        shared = {
            feature: self.given[name] for name, feature in self.call.arguments.items() if name in self.given
        }
        rows = [{**shared, **each} for each in records or ({},)]
        for place, row in enumerate(rows):
            for name, feature in self.call.arguments.items():
                if feature not in row:
                    where = f"{name} of candidates[{place}]" if records else name
                    expected = self._expected(self.signature.input(feature))
                    raise CallError("missing_feature", f"{where} is missing; pass {expected}")
        return rows

    def _expected(self, feature: Feature) -> str:
        if feature.kind in ("id_sequence", "id_bag"):
            return "text" if is_text(self.contract, feature) else "a list of items"
        if feature.kind == "id":
            return "a token or a title"
        return "a number" if not rest_of(self.signature, feature) else "a list of numbers"

    def inputs(self, *records: Mapping[str, Any]) -> dict[str, Array]:
        """The features of every record as the model's inputs, states left out."""
        return self.encoder.arrays(self.features(*records))

    def outputs(self, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """The model's outputs; states are put in and kept by whoever runs it."""
        return self.run(self.call.function, inputs)

    def run(self, function: str, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """The outputs of any function of the model."""
        return self._model(function, inputs)

    def row(self, out: Output, outputs: Mapping[str, Array], place: int = 0) -> npt.NDArray[Any]:
        """One row of an output."""
        array = np.asarray(outputs[out.name])
        return array[place] if has_rows(self.signature) and out.shape else array

    def item(self, place: int, score: float | None, **more: Any) -> Recommendation:
        """An item of the answer."""
        items = self.items
        return Recommendation(
            id=place, token=items.tokens[place], title=items.shown(place), score=score, **more
        )

    def candidate(self, word: str, score: float, **more: Any) -> Recommendation:
        """A candidate of the answer, which may be a word that the model does not know."""
        found = self.items.find(word)
        if found is not None:
            return self.item(found, score, **more)
        spec = self.items.spec
        padding = self.signature.input(self.call.candidate).out_of_vocabulary == "padding"
        place = spec.padding_id if padding else spec.unknown_id
        return Recommendation(id=int(place or 0), token=word, title=word, score=score, **more)

    def listed(self, found: Sequence[Recommendation]) -> Recommendations:
        """The answer of a list."""
        return Recommendations(found, self.unknown)

    @property
    def unknown(self) -> tuple[Unknown, ...]:
        """The words of the call that no item is, so far."""
        return tuple(self.encoder.unknown.values())
