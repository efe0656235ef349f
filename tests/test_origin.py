"""Origins survive the artifact's metadata, and a damaged table is an error that names the artifact."""

from __future__ import annotations

import base64
import zlib

import pytest

from pocketrec.errors import ArtifactError
from pocketrec.origin import Origin, from_text, to_text

ORIGIN = Origin(module="blocks.0.attention", source="sasrec.py:46", op="addmm", ordinal=1, count=3)


def test_a_table_is_read_as_it_was_written() -> None:
    table = {"b": ORIGIN, "a": Origin(module="", source="", op="where", ordinal=1, count=1, exact=False)}
    assert from_text(to_text(table), where="x") == table


def test_equal_tables_are_equal_text() -> None:
    assert to_text({"a": ORIGIN, "b": ORIGIN}) == to_text({"b": ORIGIN, "a": ORIGIN})


def test_the_place_is_for_people() -> None:
    assert ORIGIN.place == "module blocks.0.attention, sasrec.py:46"
    top = Origin(module="", source="sasrec.py:95", op="mm", ordinal=1, count=1)
    assert top.place == "the model itself, sasrec.py:95"
    assert "checks" in Origin(module="", source="", op="lt", ordinal=1, count=1).place


def deflated(plain: bytes) -> str:
    return base64.b64encode(zlib.compress(plain)).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64!",
        base64.b64encode(b"not deflated").decode(),
        deflated(b'{"a":["m","s","op",1,1,true]}')[:20],
        deflated(b"[]"),
        deflated(b"[" * 9999),
        deflated(b'{"a":1}'),
        deflated(b'{"a":["m","s","op","1",1,true]}'),
        deflated(b'{"a":["m"]}'),
        deflated(b" " * (1 << 26) + b"{}"),
    ],
)
def test_a_damaged_table_is_named(text: str) -> None:
    with pytest.raises(ArtifactError, match=r"main\.onnx: the origins of its tensors are damaged"):
        from_text(text, where="main.onnx")
