"""Tokens are there and stand once each, and outputs are as long as the vocabulary that they are over."""

from __future__ import annotations

from typing import Any

import pytest

from pocketrec.contract import (
    Contract,
    Dim,
    Feature,
    Output,
    Signature,
    Tokenizer,
    Vocabulary,
    VocabularySpec,
)
from pocketrec.errors import ContractError
from pocketrec.recipe.contract import VocabularySource
from pocketrec.source.vocabularies import check_beside, check_tokens, check_widths

PADDED = VocabularySource(tokens="items.txt", padding_id=0)


@pytest.mark.parametrize("tokens", [("[pad]", "a", "b"), ("", "a", "b"), ("a",)])
def test_different_tokens_pass_and_padding_may_be_blank(tokens: tuple[str, ...]) -> None:
    check_tokens("item", Vocabulary(tokens=tokens), PADDED)


@pytest.mark.parametrize(
    ("tokens", "message"),
    [
        (("[pad]", "a", " ", "b"), r"contract\.vocabularies\.item: token 2 \(line 3\) is blank; name it"),
        (("[pad]", "a", ""), r"contract\.vocabularies\.item: token 2 \(line 3\) is blank; name it"),
        (("[pad]", "Ö", "b", "Ö"), r"contract\.vocabularies\.item: tokens 1 and 3 are both 'Ö'; a token is"),
        (("a", "b", "a"), r"contract\.vocabularies\.item: tokens 0 and 2 are both 'a'"),
    ],
)
def test_blank_and_equal_tokens_are_named(tokens: tuple[str, ...], message: str) -> None:
    with pytest.raises(ContractError, match=message):
        check_tokens("item", Vocabulary(tokens=tokens), PADDED)


def test_what_a_tokenizer_puts_in_is_a_token() -> None:
    source = VocabularySource(tokens="vocab.txt", tokenizer=Tokenizer(start="[BOS]"))
    check_tokens("word", Vocabulary(tokens=("[UNK]", "[BOS]", "[SEP]", "a")), source)
    with pytest.raises(ContractError, match=r"word\.tokenizer\.start is '\[BOS\]', which is none of its"):
        check_tokens("word", Vocabulary(tokens=("[UNK]", "[CLS]", "[SEP]", "a")), source)


@pytest.mark.parametrize(
    ("aside", "tokenizer", "said"),
    [
        ({"unknown_id": 3}, Tokenizer(), r"unknown is '\[UNK\]', which is id 1, and unknown_id is 3"),
        ({"unknown_id": 1}, Tokenizer(unknown="a"), "unknown is 'a', which is id 4, and unknown_id is 1"),
        ({"padding_id": 1}, Tokenizer(), r"unknown is '\[UNK\]', which pads, as padding_id is 1"),
        ({"padding_id": 3}, Tokenizer(), r"end is '\[SEP\]', which pads, as padding_id is 3"),
    ],
)
def test_what_stands_for_unknown_words_is_one_token_and_no_padding(
    aside: dict[str, Any], tokenizer: Tokenizer, said: str
) -> None:
    """A word that is unknown would else be searched for as another word, or not at all."""
    tokens = Vocabulary(tokens=("[PAD]", "[UNK]", "[CLS]", "[SEP]", "a"))
    good = VocabularySource(tokens="vocab.txt", padding_id=0, unknown_id=1, tokenizer=Tokenizer())
    check_tokens("word", tokens, good)
    wrong = VocabularySource(tokens="vocab.txt", tokenizer=tokenizer, **aside)
    with pytest.raises(ContractError, match=rf"vocabularies\.word\.tokenizer\.{said}; correct one"):
        check_tokens("word", tokens, wrong)


SPELLED = VocabularySource(tokens="items.txt", padding_id=0, spelled_in="code", spellings="codes.txt")


def lines(*each: str) -> Vocabulary:
    return Vocabulary(tokens=each)


def check(**beside: Vocabulary) -> None:
    codes = {"tokens": lines("[pad]", "x", "y")}
    check_beside("item", SPELLED, {"item": {"tokens": lines("[pad]", "a", "b"), **beside}, "code": codes})


def test_titles_may_be_empty_and_repeat_and_spellings_stand_for_every_item() -> None:
    check(titles=lines("", "Same", "Same"), spellings=lines("", "1 2", "2 1"))


@pytest.mark.parametrize(
    ("beside", "message"),
    [
        ({"titles": lines("", "A")}, r"item\.titles: 2 lines for 3 tokens; write one a token"),
        ({"spellings": lines("", "1 2", "")}, r"item\.spellings, line 3 is ''; expected ids from 0 to 2"),
        ({"spellings": lines("", "1 2", "1 3")}, r"line 3 is '1 3'; expected ids from 0 to 2"),
        ({"spellings": lines("", "1 2", "-1 1")}, r"line 3 is '-1 1'; expected ids"),
        ({"spellings": lines("", "1 2", "1  2")}, r"line 3 is '1  2'; expected ids"),
        ({"spellings": lines("", "1 2", f"1 {2**70}")}, r"expected ids from 0 to 2 with a space"),
        ({"spellings": lines("", "1 2", "1 2")}, r"items 1 and 2 are both spelled '1 2'; append an id"),
        ({"spellings": lines("", "1 2", "1")}, r"line 3 has 1 ids, and lines before it 2"),
    ],
)
def test_what_stands_beside_tokens_and_does_not_fit_is_named(
    beside: dict[str, Vocabulary], message: str
) -> None:
    with pytest.raises(ContractError, match=message):
        check(**beside)


def contract(columns: int | str, tokens: int) -> Contract:
    history = Feature(name="history", kind="id_sequence", shape=("batch", 5), vocabulary="item")
    out = Output(name="scores", meaning="logit", shape=("batch", columns), vocabulary="item")
    return Contract(
        functions={"main": Signature(inputs=(history,), outputs=(out,))},
        dims={"batch": Dim(max=8), "items": Dim(min=2, max=30)},
        vocabularies={"item": VocabularySpec(size=tokens)},
    )


@pytest.mark.parametrize(("columns", "tokens"), [(20, 20), ("items", 20)])
def test_as_many_columns_as_tokens_pass(columns: int | str, tokens: int) -> None:
    check_widths(contract(columns, tokens))


@pytest.mark.parametrize(
    ("columns", "tokens", "said"), [(20, 15, "20"), (20, 1, "20"), (20, 22, "20"), ("items", 31, "2 to 30")]
)
def test_another_number_of_columns_than_tokens_is_named(columns: int | str, tokens: int, said: str) -> None:
    message = f"output scores has {said} columns, and vocabulary 'item' has {tokens} tokens; give every id"
    with pytest.raises(ContractError, match=message):
        check_widths(contract(columns, tokens))
