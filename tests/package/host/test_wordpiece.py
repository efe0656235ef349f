"""Text is cut as Hugging Face's `tokenizers` cuts it, whatever it holds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import BertWordPieceTokenizer

from pocketrec.contract import Tokenizer, VocabularySpec
from pocketrec.package.host.items import Items
from pocketrec.package.host.wordpiece import tokenize, words

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
WHOLE = (
    *("the", "toy", "story", "dead", "man", "heat", "un", "##aff", "##able", "##able!", "cafe", "café"),
    *(
        "中",
        "日",
        "👍",
        "👨",
        "♥",
        "ß",
        "ss",
        "fi",
        "\ufb01",
        "i\u0307",
        "σ",
        "ς",
        "²",
        "½",
        "ก",
        "ㄱ",
        "\u1100",
    ),
)
LETTERS = [chr(code) for code in (*range(33, 127), *range(0xE0, 0x100), 0x300, 0x301, 0x307, 0x308, 0x327)]
TOKENS = tuple(dict.fromkeys([*SPECIAL, *WHOLE, *LETTERS, *(f"##{each}" for each in LETTERS)]))
ALIKE = Items("word", VocabularySpec(size=len(TOKENS), padding_id=0, unknown_id=1), TOKENS)
KINDS = [
    Tokenizer(),
    Tokenizer(lowercase=False),
    Tokenizer(strip_accents=False),
    Tokenizer(lowercase=False, strip_accents=True),
    Tokenizer(tokenize_chinese_chars=False, max_characters_per_word=5),
]
# What Unicode's versions, UTF-16 and languages disagree about, beside words of the vocabulary.
ODD = (
    *(
        "👨‍👩‍👧",
        "👍🏽",
        "🇫🇷",
        "1️⃣",
        "é",
        "e\u0301\u0327",
        "A\u030a\u0323",
        "İstanbul",
        "ıI",
        "Straße",
        "ẞ",
        "fi",
        "ΣΑΣ",
    ),
    *(
        "שָׁלוֹם",
        "\u202eabc",
        "العربية",
        "नमस्ते",
        "한국어",
        "中文字",
        "𠀀",
        "\ufffd",
        "\x00",
        "\x0b",
        "\x85",
        "\u200b",
    ),
    *(
        "\xad",
        "\u2028",
        "\u3000",
        "\xa0",
        "\ue000",
        "\U0010ffff",
        "\u0344",
        "\u0345",
        "\u1734",
        "\u302e",
        "Ა",
    ),
    *(
        "\U00011938",
        "\ua7dc",
        "\U00010d50",
        "\U00016ea0",
        "\u2e52",
        "\u0898",
        "\u1acf",
        "\u166d",
        "\U000111c9",
    ),
    *SPECIAL,
    *(
        "[mask]",
        "[SEP",
        "##s",
        "un",
        "the",
        "THE",
        "unaffable",
        "a" * 100,
        "a" * 101,
        " ",
        "\t\r\n",
        "",
        "!",
        "`",
    ),
)
TEXTS = st.lists(st.sampled_from(ODD) | st.text(max_size=4) | st.sampled_from(WHOLE), max_size=12).map(
    "".join
)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    """Hugging Face's tokenizer of each kind."""
    path = tmp_path_factory.mktemp("bert") / "vocab.txt"
    path.write_text("".join(f"{each}\n" for each in TOKENS), encoding="utf-8")
    return [other(path, each) for each in KINDS]


def other(path: Path, kind: Tokenizer) -> Any:
    made = BertWordPieceTokenizer(
        str(path),
        clean_text=True,
        handle_chinese_chars=kind.tokenize_chinese_chars,
        strip_accents=kind.strip_accents,
        lowercase=kind.lowercase,
    )
    made._tokenizer.model.max_input_chars_per_word = kind.max_characters_per_word
    return made


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, kind=st.integers(0, len(KINDS) - 1), most=st.sampled_from([2, 3, 8, 64]))
def test_any_text_has_the_tokens_of_hugging_face(others: list[Any], text: str, kind: int, most: int) -> None:
    others[kind].enable_truncation(most)
    assert tokenize(text, KINDS[kind], ALIKE, most) == others[kind].encode(text).ids


@pytest.mark.parametrize("odd", ODD)
def test_every_odd_text_has_the_tokens_of_hugging_face(others: list[Any], odd: str) -> None:
    for kind, made in zip(KINDS, others, strict=True):
        made.no_truncation()
        text = f"a{odd}b {odd}\u0301"
        assert tokenize(text, kind, ALIKE, 999) == made.encode(text).ids, kind


def spelled(text: str, kind: Tokenizer = KINDS[0], most: int = 99) -> list[str]:
    return [TOKENS[each] for each in tokenize(text, kind, ALIKE, most)]


def test_the_longest_piece_is_taken_from_the_left_and_one_that_is_missing_makes_the_word_unknown() -> None:
    assert spelled("Unaffable!") == ["[CLS]", "un", "##aff", "##able", "!", "[SEP]"]
    assert spelled("un日ก") == ["[CLS]", "un", "日", "ก", "[SEP]"]
    assert spelled("unก the") == ["[CLS]", "[UNK]", "the", "[SEP]"]


def test_the_end_of_a_text_is_cut_and_both_ends_are_kept() -> None:
    assert spelled("the toy story", most=4) == ["[CLS]", "the", "toy", "[SEP]"]
    assert spelled("the", most=2) == ["[CLS]", "[SEP]"]
    assert spelled("the", most=1) == ["[CLS]"]
    assert spelled("") == ["[CLS]", "[SEP]"]


def test_accents_go_with_capitals_unless_the_tokenizer_says_otherwise() -> None:
    assert words("Ça İ", Tokenizer()) == ["ca", "i"]
    assert words("Ça İ", Tokenizer(strip_accents=False)) == ["ça", "i̇"]
    assert words("Ça", Tokenizer(lowercase=False)) == ["Ça"]
    assert words("Ça", Tokenizer(lowercase=False, strip_accents=True)) == ["Ca"]


def test_a_word_of_too_many_characters_is_unknown() -> None:
    assert spelled("abcde", KINDS[4])[1:-1] == ["a", "##b", "##c", "##d", "##e"]
    assert spelled("abcdef", KINDS[4])[1:-1] == ["[UNK]"]


def test_special_tokens_stay_whole_only_as_the_vocabulary_writes_them() -> None:
    assert spelled("the[MASK]toy")[1:-1] == ["the", "[MASK]", "toy"]
    assert spelled("[mask]")[1:-1] == ["[", "m", "##a", "##s", "##k", "]"]
    assert spelled("[MASK]", Tokenizer(mask="<mask>"))[1:-1] == ["[", "m", "##a", "##s", "##k", "]"]


def test_half_a_surrogate_pair_is_no_character() -> None:
    assert spelled("the\ud83d \udc4dtoy") == ["[CLS]", "the", "toy", "[SEP]"]
