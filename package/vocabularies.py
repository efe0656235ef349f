"""The items of a contract's vocabularies, from a bundle or from what a build holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pocketrec.contract import Contract, VocabularyFiles, VocabularySpec, vocabulary_file
from pocketrec.errors import ArtifactError
from pocketrec.outside import read_file
from pocketrec.package.bundle import Bundle
from pocketrec.package.host.items import Items
from pocketrec.package.manifest import file_sha256

_LARGEST = 1 << 31  # bytes of a vocabulary's file
_LONGEST_ID = 11  # digits that an id of 32 bits cannot have


def vocabularies_of(bundle: Bundle, specs: Mapping[str, VocabularySpec]) -> dict[str, Items]:
    """The items of vocabularies of a bundle.

    Raises:
        ArtifactError: a file is missing or is not what the contract says; names it.
    """
    found = {}
    for name, spec in specs.items():
        check_tokens_there(name, spec)
        files = {key: _read(bundle, vocabulary_file(name, key), sum_) for key, sum_ in spec.digests.items()}
        found[name] = _items(name, spec, files)
    return found


def vocabularies_held(contract: Contract, held: Mapping[str, VocabularyFiles]) -> dict[str, Items]:
    """The items of every vocabulary that a build holds."""
    return {
        name: _items(name, spec, {key: b"".join(each.chunks()) for key, each in held[name].items()})
        for name, spec in contract.vocabularies.items()
    }


def check_tokens_there(name: str, spec: VocabularySpec) -> None:
    """Checks that a vocabulary has tokens to look words up in; ArtifactError names it."""
    if "tokens" not in spec.digests:
        raise ArtifactError(
            f"contract.json: vocabulary {name} has no tokens, so words cannot be looked up; state the "
            "contract in the recipe, and build the bundle again"
        )


def _items(name: str, spec: VocabularySpec, files: Mapping[str, bytes]) -> Items:
    """The items of a vocabulary's files; ArtifactError names the one that is none of the contract's size."""
    lines = {key: _lines(vocabulary_file(name, key), each) for key, each in files.items()}
    for key, each in lines.items():
        if len(each) != spec.size:
            raise ArtifactError(
                f"{vocabulary_file(name, key)}: {len(each)} lines; contract.json has {spec.size} ids, a line "
                "each; build the bundle again"
            )
    _check_spellings(name, spec, lines.get("spellings", ()))
    return Items(name, spec, lines["tokens"], lines.get("titles", ()), lines.get("spellings", ()))


def _lines(file: str, data: bytes) -> list[str]:
    """The lines of a vocabulary's file, which all end in a line feed."""
    try:
        return data.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ArtifactError(
            f"{file}, line {line}: no UTF-8 ({error.reason}); build the bundle again"
        ) from None


def _check_spellings(name: str, spec: VocabularySpec, lines: Sequence[str]) -> None:
    """Checks that what items are spelled in are whole numbers, equally many for each."""
    words = [line.split(" ") for place, line in enumerate(lines) if place not in spec.aside]
    if len({len(each) for each in words}) > 1 or not all(
        one.isascii() and one.isdecimal() and len(one) < _LONGEST_ID for each in words for one in each
    ):
        raise ArtifactError(
            f"{vocabulary_file(name, 'spellings')}: not equally many ids from 0 in every line, with a space "
            "between; build the bundle again"
        )


def _read(bundle: Bundle, file: str, digest: str) -> bytes:
    path = bundle.file(file)
    if file_sha256(path) != digest:
        raise ArtifactError(f"{file}: altered, contract.json has another sha256; pull the bundle again")
    return read_file(path, largest=_LARGEST)
