"""The calls of a contract as methods: what every argument takes, whatever language spells it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.package.web.conftest import toy_contract

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.package.apps.methods import Kind, Method, methods_of
from pocketrec.package.swift.names import names_of
from pocketrec.package.swift.types import parameters as in_swift
from pocketrec.package.web.types import type_of


def ranks(*features: Feature) -> Contract:
    film = Feature(name="film", kind="id", shape=("batch",), vocabulary="item", out_of_vocabulary="padding")
    score = Output(name="score", meaning="score", shape=("batch",))
    signature = Signature(inputs=(film, *features), outputs=(score,), items="item")
    return replace(toy_contract(), functions={"main": signature})


def only(contract: Contract) -> Method:
    return methods_of(contract, members=())[0]


@pytest.mark.parametrize(
    ("dtype", "shape", "kind", "web", "swift"),
    [
        ("float32", ("batch",), Kind(takes="number"), "number", "Double?"),
        ("int32", ("batch",), Kind(takes="number", whole=True), "number", "Int?"),
        ("bool", ("batch",), Kind(takes="flag"), "boolean", "Bool?"),
        (
            "float32",
            ("batch", 1),
            Kind(takes="number", depth=1, alone=True),
            "number | readonly number[]",
            "Double?",
        ),
        (
            "float32",
            ("batch", 3),
            Kind(takes="number", depth=1),
            "readonly number[] | Float32Array",
            "[Double]?",
        ),
        (
            "bool",
            ("batch", 2, 3),
            Kind(takes="flag", depth=2),
            "readonly (readonly boolean[])[]",
            "[[Bool]]?",
        ),
    ],
)
def test_a_number_has_the_kind_of_its_dtype_and_shape(
    dtype: str, shape: tuple[int | str, ...], kind: Kind, web: str, swift: str
) -> None:
    contract = ranks(Feature(name="given", kind="dense", dtype=dtype, shape=shape))  # type: ignore[arg-type]
    method = only(contract)
    assert method.arguments[0].kind == kind
    assert type_of(method.arguments[0], method) == web
    assert in_swift(method, names_of("toy", contract, [method]))[0].type == swift


@pytest.mark.parametrize("name", ["k", "excluding", "draw"])
def test_a_feature_called_as_another_roles_option_keeps_its_own_kind(name: str) -> None:
    method = only(ranks(Feature(name=name, kind="dense", dtype="float32", shape=("batch", 2))))
    assert method.arguments[0].kind == Kind(takes="number", depth=1)
    assert type_of(method.arguments[0], method) == "readonly number[] | Float32Array"


def test_a_list_is_asked_how_long_and_without_what() -> None:
    kinds = {each.given: each.kind.takes for each in only(toy_contract()).arguments}
    assert kinds == {"history": "item", "k": "count", "excluding": "excluded"}
