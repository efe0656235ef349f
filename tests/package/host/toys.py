"""Small contracts whose models are a line of NumPy, so that an answer can be worked out on paper."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.package.host.calls import Host
from pocketrec.package.host.items import Items

TOKENS = ("<pad>", "a", "b", "c", "d", "<unk>")
TITLES = ("", "Alpha", "Same", "Same", "", "never found")
BATCH = Dim(max=4)
LENGTH = Dim(min=2, max=3)
FILMS = VocabularySpec(size=6, padding_id=0, unknown_id=5, sha256="0", titles_sha256="1")


def films() -> Items:
    """Six ids: padding, four items of which two share a title and one has none, and the unknown."""
    return Items("film", FILMS, TOKENS, TITLES)


def history(**more: Any) -> Feature:
    """A history of films, padded on the left; what is unknown pads."""
    base: dict[str, Any] = {
        "name": "history",
        "kind": "id_sequence",
        "shape": ("batch", "length"),
        "vocabulary": "film",
        "padding_side": "left",
        "out_of_vocabulary": "padding",
    }
    return Feature(**{**base, **more})


def scores(**more: Any) -> Output:
    """A score for every film."""
    base: dict[str, Any] = {"name": "scores", "meaning": "score", "shape": ("batch", 6), "vocabulary": "film"}
    return Output(**{**base, **more})


def contract_of(signature: Signature, **more: Any) -> Contract:
    """A contract of one function over the films."""
    base: dict[str, Any] = {
        "functions": {"main": signature},
        "dims": {"batch": BATCH, "length": LENGTH},
        "vocabularies": {"film": FILMS},
    }
    return Contract(**{**base, **more})


class Model:
    """A host around outputs that are given; it keeps what the model was called with."""

    def __init__(self, contract: Contract, *outputs: Mapping[str, Any], **vocabularies: Items) -> None:
        self.inputs: list[dict[str, Any]] = []
        self._outputs = list(outputs)
        self.host = Host(
            contract=contract,
            vocabularies={"film": films(), **vocabularies},
            run=self._run,
            tokenize=lambda text, tokenizer, vocabulary, most: [len(word) for word in text.split()][:most],
        )

    def _run(self, function: str, inputs: Mapping[str, Any]) -> Mapping[str, Any]:
        self.inputs.append({name: np.asarray(each) for name, each in inputs.items()})
        given = self._outputs[min(len(self.inputs), len(self._outputs)) - 1]
        return {
            name: np.asarray(each, np.float32 if "ids" not in name else np.int32)
            for name, each in given.items()
        }
