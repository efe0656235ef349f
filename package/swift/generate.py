"""A Swift package from a bundle, written whole or not at all."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from pocketrec.contract import Contract
from pocketrec.package.api import API
from pocketrec.package.apps.methods import Method, methods_of
from pocketrec.package.apps.model_folder import checked_contract, target_of, write_model_folder
from pocketrec.package.apps.tree import as_text, mark_generated, out_check, write_tree
from pocketrec.package.bundle import Bundle, stated_type
from pocketrec.package.golden import GOLDEN, GoldenIndex
from pocketrec.package.golden_text import text_name
from pocketrec.package.manifest import read_json
from pocketrec.package.publish import publish, workspace
from pocketrec.package.swift.model_folder import CORE_ML, add_functions, add_index
from pocketrec.package.swift.names import Names, names_of, quoted
from pocketrec.package.swift.systems import Systems, systems_of
from pocketrec.package.swift.types import (
    ARGUMENTS,
    MEMBERS,
    answer_type,
    asked,
    example_of,
    fields,
    heads,
    parameters,
    properties,
    reading,
    shown_of,
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
    read = bundle.manifest
    package = Sources.of(read.name, read.version, contract, stated=stated_type(bundle))
    module = package.names.module
    resources = folder / "Sources" / module / "Resources" / "Model"
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
    indexes = {
        name: str(manifest["files"][each["index"]]["sha256"])
        for name, each in manifest["vocabularies"].items()
    }
    package.write(folder, model_bytes=size, indexes=indexes, systems=systems_of(resources))
    _write_vectors(bundle, target, folder / "Tests" / f"{module}Tests" / "Vectors", vectors=vectors)
    mark_generated(folder, GENERATED)
    return {
        "module": module,
        "type_name": package.names.type,
        "version": package.version,
        "methods": tuple(each.name for each in package.methods),
        "model_bytes": size,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """What is generated from a contract alone: a package without its model.

    Attributes:
        name: the bundle's.
        version: the bundle's.
        contract: of the model.
        methods: of the class.
        names: of the types.
    """

    name: str
    version: str
    contract: Contract
    methods: tuple[Method, ...]
    names: Names

    @classmethod
    def of(cls, name: str, version: str, contract: Contract, *, stated: str = "") -> Self:
        """The sources of a bundle's name, version and contract; the class is called as `stated`."""
        methods = methods_of(contract, members=MEMBERS, arguments=ARGUMENTS)
        names = names_of(name, contract, methods, stated=stated)
        return cls(name=name, version=version, contract=contract, methods=methods, names=names)

    def write(
        self, folder: Path, *, model_bytes: int, indexes: Mapping[str, str], systems: Systems | None = None
    ) -> None:
        """Writes the package's files into `folder`, given its size, its indexes' sha256 and what opens it."""
        module = self.names.module
        renamed = {
            "Sources": f"Sources/{module}",
            "Tests": f"Tests/{module}Tests",
            "_Type_": self.names.type,
            "_Module_": module,
        }
        made = {"model_bytes": model_bytes, "indexes": indexes, "systems": systems or Systems()}
        context = self._context() | made
        write_tree(folder, "pocketrec.package.swift", context, filters=_FILTERS, names=renamed, built=_BUILT)

    def _context(self) -> dict[str, Any]:
        """What templates know."""
        from pocketrec import __version__

        predicting = [each for each in self.methods if each.answer == "Prediction"]
        return {
            "name": self.name,
            "version": self.version,
            "names": self.names,
            "module": self.names.module,
            "contract": self.contract.to_dict(),
            "contract_sha256": self.contract.sha256(),
            "methods": self.methods,
            "method_names": ", ".join(each.name for each in self.methods),
            "answer": {each.name: answer_type(each, self.names) for each in self.methods},
            "properties": {each.name: properties(self.contract, each) for each in predicting},
            "heads": heads(self.contract, self.methods, self.names),
            "items": next((each.call.items for each in self.methods if each.call.items), ""),
            "answered": {each.call.items for each in self.methods},
            "shown": shown_of(self.methods),
            "has_states": any(each.states for each in self.contract.functions.values()),
            "pocketrec": __version__,
        }


def _write_vectors(bundle: Bundle, target: str, folder: Path, *, vectors: bool) -> None:
    """The API and golden vectors for the package's tests, or a line that says that there are none."""
    folder.mkdir(parents=True, exist_ok=True)
    if vectors:
        shutil.copyfile(bundle.checked(API), folder / "api.json")
        bundle.checked(GOLDEN)
        golden = read_json(bundle.path, GOLDEN, GoldenIndex)
        for name in filter(bundle.manifest.files.__contains__, map(text_name, golden.functions)):
            shutil.copyfile(bundle.checked(name), folder / Path(name).name)
        allowed = {"outputs": golden.tolerances.get(target, {}), "ties": golden.tie_tolerance}
        text = json.dumps(allowed, indent=1, sort_keys=True) + "\n"
        (folder / "tolerances.json").write_text(text, encoding="utf-8")
    else:
        (folder / "none.txt").write_text(
            "This package was generated without --with-vectors.\n", encoding="utf-8"
        )


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


def as_code(text: str) -> str:
    """A name of Swift as Markdown's code, its own backticks left out."""
    return f"`{text.strip('`')}`"


_FILTERS: dict[str, Callable[..., Any]] = {
    "json": as_json,
    "string": as_string,
    "block": as_block,
    "comment": as_comment,
    "text": as_text,
    "code": as_code,
    "quoted": quoted,
    "parameters": parameters,
    "fields": fields,
    "example": example_of,
    "asked": asked,
    "reading": reading,
}
