"""Vocabularies against what they name: tokens that cannot be told apart, and outputs of another length."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping

import numpy as np
import numpy.typing as npt

from pocketrec.contract import SCORES, Contract, Output, Tokens, VocabularyFiles
from pocketrec.errors import ContractError
from pocketrec.recipe.contract import VocabularySource

_LONGEST_ID = 11  # digits that an id of 32 bits cannot have


def check_tokens(name: str, tokens: Tokens, source: VocabularySource) -> None:
    """Checks that every token is there and stands once; padding and unknown may be blank.

    Raises:
        ContractError: names the vocabulary, both lines, and the token.
    """
    aside = {source.padding_id, source.unknown_id}
    digests = np.zeros(tokens.size, np.int64)
    for place, token in enumerate(lines(tokens)):
        digests[place] = hash(token)
        if not token.strip() and place not in aside:
            raise ContractError(
                f"contract.vocabularies.{name}: token {place} (line {place + 1}) is blank; name it"
            )
    _check_tokenizer(name, tokens, source)
    values, counts = np.unique(digests, return_counts=True)
    if len(values) < tokens.size:
        _check_equal(name, tokens, digests, set(values[counts > 1].tolist()))


def _check_tokenizer(name: str, tokens: Tokens, source: VocabularySource) -> None:
    """Checks that the tokens that a tokenizer puts in are there, and stand for what the vocabulary says."""
    if source.tokenizer is None:
        return
    needed = {key: getattr(source.tokenizer, key).encode() for key in ("unknown", "start", "end")}
    places = {line: place for place, line in enumerate(lines(tokens)) if line in needed.values()}
    for key, token in needed.items():
        place, said = places.get(token), f"contract.vocabularies.{name}.tokenizer.{key} is {token.decode()!r}"
        if place is None:
            raise ContractError(f"{said}, which is none of its tokens; correct one of them")
        if place == source.padding_id:
            raise ContractError(f"{said}, which pads, as padding_id is {place}; correct one of them")
        if key == "unknown" and source.unknown_id not in (None, place):
            raise ContractError(
                f"{said}, which is id {place}, and unknown_id is {source.unknown_id}; correct one of them"
            )


def check_beside(name: str, source: VocabularySource, found: Mapping[str, VocabularyFiles]) -> None:
    """Checks that what stands beside a vocabulary's tokens has a line for each, and that items can be told.

    Raises:
        ContractError: names the vocabulary, the file's key and line, and what was expected.
    """
    files = found[name]
    for key in files.keys() - {"tokens"}:
        if files[key].size != files["tokens"].size:
            raise ContractError(
                f"contract.vocabularies.{name}.{key}: {files[key].size} lines for {files['tokens'].size} "
                "tokens; write one a token, blank for what is set aside"
            )
    if "spellings" in files and source.spelled_in in found:
        aside = {source.padding_id, source.unknown_id}
        size = found[source.spelled_in]["tokens"].size
        _check_spellings(f"contract.vocabularies.{name}.spellings", files["spellings"], aside, size)


def _check_spellings(where: str, spellings: Tokens, aside: Container[int | None], size: int) -> None:
    """Checks that items are spelled differently, equally long, in ids below `size`."""
    seen: dict[tuple[int, ...], int] = {}
    for place, line in enumerate(lines(spellings)):
        if place in aside and not line.strip():
            continue
        words = line.split(b" ")
        ids = tuple(int(each) for each in words if each.isdigit() and len(each) < _LONGEST_ID)
        if len(ids) != len(words) or not all(each < size for each in ids):
            raise ContractError(
                f"{where}, line {place + 1} is {line.decode()[:80]!r}; expected ids from 0 to {size - 1} "
                "with a space between"
            )
        if ids in seen:
            raise ContractError(
                f"{where}: items {seen[ids]} and {place} are both spelled {line.decode()!r}; append an id "
                "that tells them apart"
            )
        if seen and len(ids) != len(next(iter(seen))):
            raise ContractError(
                f"{where}, line {place + 1} has {len(ids)} ids, and lines before it "
                f"{len(next(iter(seen)))}; all items have equally many"
            )
        seen[ids] = place


def _check_equal(name: str, tokens: Tokens, digests: npt.NDArray[np.int64], shared: Container[int]) -> None:
    """Checks that tokens whose digests are shared are different after all, or blank."""
    first: dict[bytes, int] = {}
    for place, token in enumerate(lines(tokens)):
        if int(digests[place]) not in shared or not token.strip():
            continue
        if token in first:
            raise ContractError(
                f"contract.vocabularies.{name}: tokens {first[token]} and {place} are both "
                f"{token.decode()!r}; a token is the key of one id, titles stand beside it"
            )
        first[token] = place


def lines(tokens: Tokens) -> Iterator[bytes]:
    """Returns the tokens one by one, however the file is cut into chunks."""
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
            if out.vocabulary is not None and out.meaning in SCORES and len(out.shape) > 1:
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
