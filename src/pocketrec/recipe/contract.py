"""The table `contract`: as it is stated. Sizes and digests are found by reading the vocabularies' files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pocketrec.contract import Contract, Dim, Signature, Tokenizer, VocabularyFiles, VocabularySpec
from pocketrec.errors import ContractError, RecipeError

_MOST_TOKENS = 2**31 - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class VocabularySource:
    """Where a vocabulary comes from: factories, or text files with one line a token.

    Attributes:
        tokens: the stable keys of its ids.
        padding_id: the id that fills sequences, where there is one.
        unknown_id: the id that stands for everything not in the vocabulary, where there is one.
        titles: what people read in place of a token; a title may be empty, and several items may share one.
        spelled_in: the vocabulary whose ids spell this one's items (semantic ids); empty for most.
        spellings: those ids, in decimals with a space between; blank for what is set aside.
        tokenizer: cuts text into tokens.
    """

    tokens: str
    padding_id: int | None = None
    unknown_id: int | None = None
    titles: str | None = None
    spelled_in: str = ""
    spellings: str | None = None
    tokenizer: Tokenizer | None = None

    def __post_init__(self) -> None:
        if bool(self.spelled_in) != (self.spellings is not None):
            raise RecipeError("spelled_in and spellings go together; give both or neither")

    @property
    def sources(self) -> dict[str, str]:
        """Where each of its files comes from, by key: the tokens, and what stands beside them."""
        stated = {"tokens": self.tokens, "titles": self.titles, "spellings": self.spellings}
        return {key: each for key, each in stated.items() if each is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractSource:
    """The contract as written: vocabularies name their tokens, sizes are found by reading them.

    Attributes:
        functions: what an app can call, by name; most models have one, `main`.
        dims: sizes that may differ from call to call, by name; shapes say the names.
        vocabularies: the id spaces, by name.
    """

    functions: Mapping[str, Signature]
    dims: Mapping[str, Dim] = field(default_factory=dict)
    vocabularies: Mapping[str, VocabularySource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _contract(self, dict.fromkeys(self.vocabularies, _Found(size=_MOST_TOKENS)))  # what needs no files


def resolve_contract(source: ContractSource, vocabularies: Mapping[str, VocabularyFiles]) -> Contract:
    """The contract with sizes and digests filled in from the vocabularies' files."""
    return _contract(source, {name: _found(vocabularies[name]) for name in source.vocabularies})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    """What the contract says of a vocabulary's files."""

    size: int
    digests: Mapping[str, str] = field(default_factory=dict)


def _found(files: VocabularyFiles) -> _Found:
    digests = {"sha256" if key == "tokens" else f"{key}_sha256": each.sha256() for key, each in files.items()}
    return _Found(size=files["tokens"].size, digests=digests)


def _contract(source: ContractSource, found: Mapping[str, _Found]) -> Contract:
    """The contract, given how many tokens each vocabulary has, and its files' digests."""
    specs = {}
    for name, each in source.vocabularies.items():
        try:
            specs[name] = VocabularySpec(
                size=found[name].size,
                padding_id=each.padding_id,
                unknown_id=each.unknown_id,
                spelled_in=each.spelled_in,
                tokenizer=each.tokenizer,
                **found[name].digests,
            )
        except ContractError as error:
            raise RecipeError(f"contract.vocabularies.{name}: {error}") from error
    return Contract(functions=source.functions, dims=source.dims, vocabularies=specs)
