"""Vocabularies against what they name: tokens that cannot be told apart, and outputs of another length."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Output, Tokens
from pocketrec.errors import ContractError
from pocketrec.recipe import VocabularySource

_SCORES = ("score", "logit", "probability")


def check_tokens(name: str, tokens: Tokens, source: VocabularySource) -> None:
    """Checks that every token is there and stands once; padding and unknown may be blank.

    Raises:
        ContractError: names the vocabulary, both lines, and the token.
    """
    aside = {source.padding_id, source.unknown_id}
    digests = np.fromiter((hash(each) for each in _lines(tokens)), np.int64)
    for place, token in _suspects(tokens, digests):
        if not token.strip() and place not in aside:
            raise ContractError(
                f"contract.vocabularies.{name}: token {place} (line {place + 1}) is blank; name it"
            )
    first: dict[bytes, int] = {}
    for place, token in _suspects(tokens, digests):
        if token in first and token.strip():
            raise ContractError(
                f"contract.vocabularies.{name}: tokens {first[token]} and {place} are both "
                f"{token.decode()!r}; a token is the key of one id, titles stand beside it"
            )
        first.setdefault(token, place)


def _suspects(tokens: Tokens, digests: npt.NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
    """Tokens that share a digest with another, and blank ones, with their places."""
    values, counts = np.unique(digests, return_counts=True)
    shared = set(values[counts > 1].tolist())
    for place, (token, digest) in enumerate(zip(_lines(tokens), digests.tolist(), strict=True)):
        if digest in shared or not token.strip():
            yield place, token


def _lines(tokens: Tokens) -> Iterator[bytes]:
    """The tokens one by one, however the file is cut into chunks."""
    rest = b""
    for chunk in tokens.chunks():
        *whole, rest = (rest + chunk).split(b"\n")
        yield from whole


def check_widths(contract: Contract) -> None:
    """Checks that scores over a vocabulary have as many columns as it has ids.

    Raises:
        ContractError: names the output, both numbers, and the key.
    """
    for function, signature in contract.functions.items():
        for out in signature.outputs:
            if out.vocabulary is not None and out.meaning in _SCORES and len(out.shape) > 1:
                _check_width(contract, function, out)


def _check_width(contract: Contract, function: str, out: Output) -> None:
    low, high = contract.bounds(out.shape[-1])
    size = contract.vocabularies[str(out.vocabulary)].size
    if low <= size <= high:
        return
    columns = str(low) if low == high else f"{low} to {high}"
    raise ContractError(
        f"function {function}: output {out.name} has {columns} columns, and vocabulary {out.vocabulary!r} "
        f"has {size} tokens; give every id a token, padding and unknown too, or correct its shape"
    )
