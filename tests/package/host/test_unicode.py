"""The tables say what Hugging Face's `tokenizers` does to every code point, in every language."""

from __future__ import annotations

import json
import re
import unicodedata
from pathlib import Path
from typing import Literal

import pytest
from tokenizers.normalizers import BertNormalizer

from pocketrec.package.host import unicode
from pocketrec.package.host.unicode import belongs, lowercase, without_marks

HOST = Path(unicode.__file__).parent
TYPESCRIPT = HOST.parent / "web/templates/package/src/host/unicode.ts"
SWIFT = HOST.parent / "swift/templates/package/Sources/Host/UnicodeTables.swift"
# Planes 3 to 13 are empty, and 15 and 16 private; a part of each stands for them.
CODES = [*range(0xD800), *range(0xE000, 0x30000), *range(0x30000, 0x110000, 97), *range(0xE0000, 0xE0200)]
NONE = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}


def chunks() -> list[list[str]]:
    return [[chr(code) for code in CODES[start : start + 4096]] for start in range(0, len(CODES), 4096)]


def test_letters_become_small_as_hugging_face_has_them() -> None:
    rule = BertNormalizer(**{**NONE, "lowercase": True})
    for chunk in chunks():
        assert lowercase("".join(chunk)) == rule.normalize_str("".join(chunk))


def test_marks_go_and_the_others_stay_in_the_order_of_hugging_face() -> None:
    rule = BertNormalizer(**{**NONE, "strip_accents": True})
    for chunk in chunks():
        # Every character follows one that decomposes into a mark, and is followed by one that moves.
        text = "".join(f"é{each}\u0334\U0001d165\u302e" for each in chunk)
        assert "".join(without_marks(text)) == rule.normalize_str(text)


def test_a_page_of_marks_is_not_put_in_order_to_be_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """To put them in order takes the square of how many they are: minutes, for a page of them."""
    lengths, normalize = list[int](), unicodedata.normalize

    def noted(form: Literal["NFD"], text: str) -> str:
        lengths.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", noted)
    text = "e" + "\u0301\u0316" * 500 + "\U0001d165\u302e"
    found = "".join(without_marks(text))
    assert found == BertNormalizer(**{**NONE, "strip_accents": True}).normalize_str(text)
    assert sum(lengths) <= 4


def test_control_characters_go_and_white_space_is_a_space_as_hugging_face_has_it() -> None:
    rule = BertNormalizer(**{**NONE, "clean_text": True})
    for chunk in chunks():
        ours = (" " if belongs(each, "space") else each for each in chunk if not belongs(each, "dropped"))
        assert "".join(ours) == rule.normalize_str("".join(chunk))


@pytest.mark.parametrize(
    ("character", "kind", "expected"),
    [
        ("\x00", "dropped", True),
        ("\ud800", "dropped", True),
        ("\U0010ffff", "dropped", False),  # no character, nor will be
        ("\u2028", "space", True),
        ("$", "punctuation", True),
        ("€", "punctuation", False),
        ("中", "chinese", True),
        ("한", "chinese", False),
    ],
)
def test_a_character_is_of_the_kind_that_bert_means(character: str, kind: str, expected: bool) -> None:
    assert belongs(character, kind) is expected


def test_typescript_has_the_same_tables() -> None:
    tables = json.loads((HOST / "unicode.json").read_text(encoding="utf-8"))
    lines = re.findall(r"^export const (\w+): [^=]+ = (.+);$", TYPESCRIPT.read_text(encoding="utf-8"), re.M)
    assert {name.lower(): json.loads(text) for name, text in lines} == tables


def test_swift_has_the_same_tables() -> None:
    tables = json.loads((HOST / "unicode.json").read_text(encoding="utf-8"))
    found = dict(re.findall(r'static let (\w+) = "(.+)"$', SWIFT.read_text(encoding="utf-8"), re.M))
    longer = [list(map(int, each.split(" "))) for each in found.pop("lowercaseLonger").split(";")]
    lowercase = [list(map(int, each.split(" "))) for each in found.pop("lowercase").split(";")]
    assert found.pop("tokenizers") == tables.pop("tokenizers")
    assert {str(code): letters for code, *letters in longer} == tables.pop("lowercase_longer")
    assert lowercase == tables.pop("lowercase")
    assert {name: list(map(int, each.split(" "))) for name, each in found.items()} == tables
