"""The typed methods of every role, and of hostile names, as the compiler sees them: without a warning."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
from tests.package.swift.toys import make_bundle
from tests.package.tapes import CONTRACTS
from tests.package.web.conftest import toy_contract
from tests.swift.toolchain import run_swift, swift_is_there

from pocketrec.contract import Contract, Feature, Output, Signature
from pocketrec.package.swift.generate import Sources, write_swift_package

pytestmark = pytest.mark.swift
HOSTILE = 'a "quoted" \\(name) */ `x` 心 🎬\n#"""\\u{41}'
# Words of Swift, names of the class's own members, and types that its sources name.
NAMES = (
    *("in", "for", "func", "inout", "let", "Type", "Protocol", "value", "calls", "loaded", "spec", "k"),
    *("String", "Double", "Int", "Value", "Array", "Recommendations", "item", "draw", "excluding", "map"),
    *("hashValue", "hash", "hasher", "self_", "any", "Candidate"),
)


def hostile() -> Contract:
    """Functions of every kind of answer whose features and outputs are called what Swift calls things."""
    numbers = tuple(Feature(name=each, kind="dense", dtype="float32", shape=("batch",)) for each in NAMES)
    film = Feature(
        name="candidates", kind="id", shape=("batch",), vocabulary="class", out_of_vocabulary="padding"
    )
    outs = tuple(
        Output(name=each, meaning="logit", shape=("batch",), unit=HOSTILE)
        for each in (
            "unknown",
            "probability",
            "where",
            "Self",
            "id",
            "scores",
            "hash_value",
            "prediction",
            "outputs",
        )
    )
    flag = Feature(name="is", kind="dense", dtype="bool", shape=("batch", 2, 3))
    return replace(
        toy_contract(),
        functions={
            "a": Signature(inputs=(film, *numbers), outputs=outs, items="class"),
            "b": Signature(inputs=(*numbers, flag), outputs=outs),
            "session": toy_contract().functions["main"],
        },
        vocabularies={
            "class": toy_contract().vocabularies["item"],
            "item": toy_contract().vocabularies["item"],
        },
    )


def sources(contracts: Mapping[str, Contract], scratch: Path) -> dict[str, str]:
    """The generated class of every contract, and the calls of its tests, none of whose names is another's."""
    found = {}
    for number, contract in enumerate(contracts.values()):
        package = Sources.of(f"{HOSTILE} role {number}", HOSTILE, contract)
        folder = scratch / str(number)
        package.write(folder, model_bytes=1, indexes={})
        module = package.names.module
        for path in (
            folder / "Sources" / module / f"{package.names.type}.swift",
            folder / "Tests" / f"{module}Tests" / "Support" / "PublicCalls.swift",
        ):
            text = path.read_text(encoding="utf-8").replace(f"import {module}", "import ToyModel")
            for each in (*package.names.ids.values(), "PublicCalls"):
                text = re.sub(rf"\b{each}\b", f"{each}{number}", text)
            found[f"{path.relative_to(folder).parts[0]}/{path.stem}{number}.swift"] = text
    return found


def test_the_methods_of_every_role_compile(tmp_path: Path) -> None:
    if not swift_is_there():
        pytest.skip("not run: no Swift compiler is here")
    write_swift_package(make_bundle(tmp_path / "toy"), tmp_path / "out")
    places = {"Sources": "Sources/ToyModel", "Tests": "Tests/ToyModelTests"}
    for name, text in sources({**CONTRACTS, "hostile": hostile()}, tmp_path / "sources").items():
        room, _, file = name.partition("/")
        (tmp_path / "out" / places[room] / file).write_text(text, encoding="utf-8")
    done = run_swift(tmp_path / "out", "build", "--build-tests", "-j", "2")
    assert done.returncode == 0, done.stdout
    assert "warning:" not in done.stdout
