"""A vocabulary's file is read as one token a line, and held as its size and digest alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketrec import factory
from pocketrec.contract import Vocabulary
from pocketrec.errors import RecipeError
from pocketrec.factory import load_vocabulary


@pytest.mark.parametrize("text", ["a\nbé\nc\n", "a\r\nbé\r\nc", "a\rbé\rc"])
def test_a_file_is_the_vocabulary_of_its_lines(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factory, "_CHUNK", 2)
    (tmp_path / "items.txt").write_text(text, encoding="utf-8", newline="")
    found = load_vocabulary("items.txt", base=tmp_path, key="tokens")
    held = Vocabulary(tokens=("a", "bé", "c"))
    assert found.size == held.size == 3
    assert found.sha256() == held.sha256()
    assert b"".join(found.chunks()) == held.to_bytes()


def test_a_file_that_is_no_text_is_named_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "items.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match=r"tokens is 'items.txt'; expected a UTF-8 text file or a factory"):
        load_vocabulary("items.txt", base=tmp_path, key="tokens")
