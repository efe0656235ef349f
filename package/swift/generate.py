"""A Swift package from a bundle, written whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketrec.contract import Contract
from pocketrec.package.api import API
from pocketrec.package.apps.methods import Method, methods_of
from pocketrec.package.apps.model_folder import checked_contract, target_of, write_model_folder
from pocketrec.package.apps.tree import as_text, mark_generated, out_check, write_tree
from pocketrec.package.bundle import Bundle
from pocketrec.package.golden import GOLDEN, GoldenIndex
from pocketrec.package.manifest import read_json
from pocketrec.package.publish import publish, workspace
from pocketrec.package.swift.model_folder import CORE_ML, add_functions, add_index
from pocketrec.package.swift.names import UNSPEAKABLE, Names, names_of, quoted
from pocketrec.package.swift.types import (
    MEMBERS,
    answer_type,
    asked,
    example_of,
    fields,
    heads,
    parameters,
    properties,
    reading,
)

GENERATED = ".pocketrec-swift.json"  # marks a folder that may be written again
_BUILT = frozenset({".build", ".swiftpm", "Package.resolved", ".DS_Store"})  # what SwiftPM puts there
_check_out = out_check(GENERATED, _BUILT)


@dataclass(frozen=True, slots=True, kw_only=True)
class SwiftPackage:
    """What was written: the package's module and class, its methods, and how large the model is."""

    path: Path
    module: str
    type_name: str
    version: str
    target: str
    methods: tuple[str, ...]
    model_bytes: int


def write_swift_package(
    bundle: Bundle, out: Path, *, target: str | None = None, vectors: bool = False
) -> SwiftPackage:
    """The Swift package of a bundle, written into `out`; the same bytes for the same bundle.

    Args:
        bundle: with an artifact for Core ML.
        out: an empty or absent folder, or an earlier package.
        target: whose artifacts it has; by default `coreml`, else the only target of Core ML.
        vectors: whether the bundle's API vectors come along, for the package's tests.

    Raises:
        UsageError: there is no such target, or `out` holds something else.
        ArtifactError: a file of the bundle is missing or altered.
    """
    chosen = target_of(bundle, target, CORE_ML)
    contract = checked_contract(bundle, out)
    with workspace(out, checked=(out,), check=_check_out) as staging:
        package = _write(bundle, contract, chosen, staging, vectors=vectors)
        publish(staging, out, check=_check_out)
    return SwiftPackage(path=out, target=chosen, **package)


def _write(bundle: Bundle, contract: Contract, target: str, folder: Path, *, vectors: bool) -> dict[str, Any]:
    methods = methods_of(contract, members=MEMBERS, arguments=UNSPEAKABLE)
    names = names_of(bundle.manifest.name, contract)
    resources = folder / "Sources" / names.module / "Resources" / "Model"
    resources.mkdir(parents=True)
    manifest = write_model_folder(
        bundle,
        contract,
        target,
        resources,
        add_functions=add_functions,
        more={"target": target},
        add_index=add_index,
    )
    size = sum(int(each["bytes"]) for each in manifest["files"].values())
    context = _context(bundle, contract, names, methods) | {"model_bytes": size, "target": target}
    renamed = {
        "Sources": f"Sources/{names.module}",
        "Tests": f"Tests/{names.module}Tests",
        "_Type_": names.type,
        "_Module_": names.module,
    }
    write_tree(folder, "pocketrec.package.swift", context, filters=_FILTERS, names=renamed, built=_BUILT)
    _write_vectors(bundle, target, folder / "Tests" / f"{names.module}Tests" / "Vectors", vectors=vectors)
    mark_generated(folder, GENERATED)
    return {
        "module": names.module,
        "type_name": names.type,
        "version": bundle.manifest.version,
        "methods": tuple(each.name for each in methods),
        "model_bytes": size,
    }


def _write_vectors(bundle: Bundle, target: str, folder: Path, *, vectors: bool) -> None:
    """The API vectors for the package's tests, or a line that says that there are none."""
    folder.mkdir(parents=True, exist_ok=True)
    if vectors:
        shutil.copyfile(bundle.checked(API), folder / "api.json")
        bundle.checked(GOLDEN)
        golden = read_json(bundle.path, GOLDEN, GoldenIndex)
        allowed = {"outputs": golden.tolerances.get(target, {}), "ties": golden.tie_tolerance}
        text = json.dumps(allowed, indent=1, sort_keys=True) + "\n"
        (folder / "tolerances.json").write_text(text, encoding="utf-8")
    else:
        (folder / "none.txt").write_text(
            "This package was generated without --with-vectors.\n", encoding="utf-8"
        )


def _context(bundle: Bundle, contract: Contract, names: Names, methods: tuple[Method, ...]) -> dict[str, Any]:
    """What templates know."""
    from pocketrec import __version__

    items = next((each.call.items for each in methods if each.call.items), "")
    return {
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
        "names": names,
        "module": names.module,
        "contract": contract.to_dict(),
        "contract_sha256": contract.sha256(),
        "methods": methods,
        "answer": {each.name: answer_type(each, names) for each in methods},
        "properties": {
            each.name: properties(contract, each) for each in methods if each.answer == "Prediction"
        },
        "heads": heads(contract, methods, names),
        "items": items,
        "answered": {each.call.items for each in methods},
        "has_states": any(each.states for each in contract.functions.values()),
        "pocketrec": __version__,
    }


def as_json(value: object) -> str:
    """A value as JSON."""
    return json.dumps(value, indent=1, sort_keys=True)


def as_string(text: str) -> str:
    """A text as a Swift string: nothing in it ends the string or is read as code."""
    return f'"{"".join(map(_letter, text))}"'


def _letter(letter: str) -> str:
    if letter in '\\"':
        return f"\\{letter}"
    return letter if " " <= letter <= "~" else f"\\u{{{ord(letter):x}}}"


def as_block(text: str) -> str:
    """A text of several lines between three quotes: nothing in it ends the string or is read as code."""
    return text.replace("\\", "\\\\").replace('"""', '""\\"')


def as_comment(text: str) -> str:
    """A text that ends no line, nor begins what Markdown or DocC would show."""
    return as_text("".join(each for each in text if each.isprintable() or each.isspace()))


_FILTERS: dict[str, Callable[..., Any]] = {
    "json": as_json,
    "string": as_string,
    "block": as_block,
    "comment": as_comment,
    "text": as_text,
    "quoted": quoted,
    "parameters": parameters,
    "fields": fields,
    "example": example_of,
    "asked": asked,
    "reading": reading,
}
