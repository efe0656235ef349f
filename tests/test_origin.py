"""Origins survive being written, and a damaged table is an error that names where it stood."""

from __future__ import annotations

import base64
import json
import zlib

import pytest

from pocketrec.errors import ArtifactError
from pocketrec.origin import Carried, Origin, Told, from_text, told_from_table

ORIGIN = Origin(module="blocks.0.attention", source="sasrec.py:46", op="addmm", ordinal=1, count=3)


def told() -> Told:
    top = Origin(module="", source="", op="where", ordinal=1, count=1, exact=False)
    carried = {"table": Carried(method="linear 8 bit", shape=(10, 64), size_bytes=660)}
    return Told(origins={"b": ORIGIN, "a": top}, carried=carried)


def test_what_is_told_is_read_as_it_was_written() -> None:
    assert told_from_table(json.loads(json.dumps(told().to_table())), where="x") == told()


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("origins", []),
        ("origins", {"a": 1}),
        ("origins", {"a": ["m"]}),
        ("origins", {"a": ["m", "s", "op", "1", 1, True]}),
        ("carried", None),
        ("carried", {"a": ["m", 3, 1]}),
        ("carried", {"a": ["m", ["3"], 1]}),
        ("carried", {"a": ["m", [-3], 1]}),
        ("carried", {"a": ["m", [3], -1]}),
        ("carried", {"a": ["m", [True], 1]}),
        ("carried", {"a": ["m", [3], 10**400]}),
        ("carried", {"a": ["m", [10**400], 1]}),
        ("carried", {"a": ["m", [1 << 40] * 3, 1]}),
        ("carried", {"a": ["m", [1] * 33, 1]}),
        ("other", {}),
    ],
)
def test_a_table_of_something_else_is_named(key: str, value: object) -> None:
    with pytest.raises(ArtifactError, match=r"^x: the origins of its tensors are damaged; build or pull"):
        told_from_table(told().to_table() | {key: value}, where="x")
    with pytest.raises(ArtifactError, match=r"^x: the origins"):
        told_from_table([told().to_table()], where="x")


def test_a_table_inside_of_an_earlier_artifact_is_read() -> None:
    plain = json.dumps({"a": ORIGIN.to_list()}).encode()
    assert from_text(deflated(plain), where="x") == {"a": ORIGIN}


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
