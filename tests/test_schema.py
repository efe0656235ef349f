"""Tables become dataclasses strictly: nothing is guessed, and messages name file, key and remedy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from pocketrec.errors import ContractError, RecipeError
from pocketrec.schema import from_table


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    size: int
    ratio: float = 0.5

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ContractError(f"size {self.size}: expected 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    name: str
    kind: Literal["id", "dense"] = "id"
    bits: Literal[4, 8] = 8
    flag: bool = False
    inner: Inner | None = None
    many: Mapping[str, Inner] = field(default_factory=dict)
    shape: tuple[int | str, ...] = ()
    mode: Literal["fast"] | None = None
    limit: float | Mapping[str, float] | None = None


def read(**table: object) -> Outer:
    return from_table(Outer, {"name": "x"} | table, source="a.toml")


def test_defaults_and_nesting() -> None:
    found = read(inner={"size": 3, "ratio": 1}, many={"a": {"size": 1}}, shape=["batch", 4])
    assert found.inner == Inner(size=3, ratio=1.0)
    assert isinstance(found.inner.ratio, float)
    assert found.many["a"].size == 1
    assert found.shape == ("batch", 4)
    assert read(inner=None).inner is None


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"nmae": "y"}, "a.toml: nmae is not a known key; did you mean 'name'?"),
        (
            {"zzz": 1},
            "a.toml: zzz is not a known key; known here: name, kind, bits, flag, inner, many, shape, "
            "mode, limit",
        ),
        ({"name": 3}, "a.toml: name is 3; expected a string"),
        ({"flag": 1}, "a.toml: flag is 1; expected true or false"),
        ({"kind": "dens"}, "a.toml: kind is 'dens'; expected one of 'id', 'dense'; did you mean 'dense'?"),
        ({"bits": 8.0}, "a.toml: bits is 8.0; expected one of 4, 8"),
        ({"mode": "fsat"}, "a.toml: mode is 'fsat'; expected 'fast'"),
        ({"bits": True}, "a.toml: bits is True; expected one of 4, 8"),
        ({"inner": {"size": True}}, "a.toml: inner.size is True; expected a whole number"),
        ({"inner": {"size": 1.0}}, "a.toml: inner.size is 1.0; expected a whole number"),
        ({"inner": {"size": 1, "ratio": "x"}}, "a.toml: inner.ratio is 'x'; expected a number"),
        ({"inner": {"size": 1, "ratio": float("nan")}}, "expected a number that is not NaN"),
        ({"inner": {}}, "a.toml: inner.size is missing; add it"),
        ({"inner": 3}, "a.toml: inner is 3; expected a table"),
        ({"inner": {"size": -1}}, "a.toml: inner: size -1: expected 0 or more"),
        ({"many": {"a": {"siez": 1}}}, "a.toml: many.a.siez is not a known key; did you mean 'size'?"),
        ({"many": []}, "a.toml: many is []; expected a table"),
        ({"shape": 3}, "a.toml: shape is 3; expected a list"),
        ({"limit": []}, "a.toml: limit is []; expected a number or a table"),
        ({"limit": {"a": True}}, "a.toml: limit.a is True; expected a number"),
        ({"shape": [1.5]}, "a.toml: shape[0] is 1.5; expected a whole number or a string"),
    ],
)
def test_what_is_wrong_is_named(table: dict[str, Any], message: str) -> None:
    with pytest.raises(RecipeError) as caught:
        read(**table)
    assert message in str(caught.value)


@pytest.mark.parametrize("table", [None, [], "text", 3])
def test_no_table_at_the_top(table: object) -> None:
    with pytest.raises(RecipeError, match=r"a\.toml: top level is .*; expected a table"):
        from_table(Outer, table, source="a.toml")
