"""What the words of a contract mean: a sentence for each, as docs/recipe.md shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pocketrec import contract


class Words(NamedTuple):
    """A key whose values are words.

    Attributes:
        key: its name.
        where: the table that has it.
        kind: the type that lists the words.
        meanings: a sentence for each.
    """

    key: str
    where: str
    kind: Any
    meanings: Mapping[str, str]


WORDS = (
    Words(
        "kind",
        "an input",
        contract.Kind,
        {
            "id": "one id of a vocabulary a row",
            "id_sequence": "ids in the order of time, the most recent last: a history; over words, a text",
            "id_bag": "ids in no order: genres, tags",
            "dense": "numbers",
            "mask": "which entries of a sequence count, as the caller states it",
            "length": "how many entries of a sequence count",
            "state": "what one call hands to the next; zeros at first, and an output `updates` it",
        },
    ),
    Words(
        "dtype",
        "an input or an output",
        contract.DType,
        {
            "int32": "whole numbers; what ids are on every target",
            "int64": "raw ids, times and hashes beyond int32; ONNX and the web only",
            "float32": "real numbers; what `dense`, `state` and every score is",
            "bool": "true or false; masks",
        },
    ),
    Words(
        "padding_side",
        "an input",
        contract.PaddingSide,
        {
            "left": "a short history has its padding in front",
            "right": "a short history has its padding at the end",
        },
    ),
    Words(
        "out_of_vocabulary",
        "an input",
        contract.OutOfVocabulary,
        {
            "padding": "an unknown id becomes `padding_id` inside the graph",
            "unknown": "an unknown id becomes `unknown_id` inside the graph",
            "forbid": "the caller never passes one; the graph has no guard",
        },
    ),
    Words(
        "meaning",
        "an output",
        contract.Meaning,
        {
            "score": "a number that orders items, more is better; over a vocabulary, one for each id",
            "logit": "a score whose sigmoid, or over a vocabulary softmax, is a probability",
            "probability": "0 to 1",
            "embedding": "a vector that a catalogue's vectors are multiplied with",
            "top_k_ids": "the best items' ids, best first; int32 or int64",
            "top_k_scores": "the scores of these items, in the same order",
            "state": "the next value of a state input, which `updates` names",
        },
    ),
    Words(
        "role",
        "a function",
        contract.Role,
        {
            "": "left out: it is inferred from kinds and meanings ([apps.md](apps.md))",
            "recommend": "history and features in, items with scores out",
            "rank": "candidates in, each with its scores out",
            "search": "text in, items with scores out",
            "embed": "features or text in, a vector out",
            "arrange": "candidates in, a page in order out",
            "decide": "a context in, an arm with its propensity out",
            "predict": "features in, a probability or a value with its unit out",
            "generate": "history in, items by their semantic ids out, token by token",
        },
    ),
)
