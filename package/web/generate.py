"""An npm package from a bundle, written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketrec.contract import Contract
from pocketrec.package.api import API
from pocketrec.package.apps.methods import Method, methods_of, types_of
from pocketrec.package.apps.model_folder import checked_contract, target_of, write_model_folder
from pocketrec.package.apps.names import type_name
from pocketrec.package.apps.tree import as_text, mark_generated, out_check, write_tree
from pocketrec.package.bundle import Bundle, stated_type
from pocketrec.package.publish import publish, workspace
from pocketrec.package.web.model_folder import ONNX, add_functions
from pocketrec.package.web.names import TAKEN, package_name, package_version
from pocketrec.package.web.types import ARGUMENTS, MEMBERS, example_of, type_of

GENERATED = ".pocketrec-web.json"  # marks a folder that may be written again
_LOCK = "package-lock.json"
_BUILT = frozenset({"node_modules", "dist"})  # what npm and tsc put there
_check_out = out_check(GENERATED, _BUILT)


@dataclass(frozen=True, slots=True, kw_only=True)
class WebPackage:
    """What was written: the package's name and class, its methods, and how large the model is."""

    path: Path
    name: str
    version: str
    type_name: str
    target: str
    methods: tuple[str, ...]
    model_bytes: int


def write_web_package(
    bundle: Bundle, out: Path, *, target: str | None = None, vectors: bool = False
) -> WebPackage:
    """The npm package of a bundle, written into `out`; the same bytes for the same bundle.

    Args:
        bundle: with an artifact for ONNX Runtime.
        out: an empty or absent folder, or an earlier package.
        target: whose artifacts it has; by default `web`, else the only ONNX target.
        vectors: whether the bundle's API vectors come along.

    Raises:
        UsageError: there is no such target, or `out` holds something else.
        ArtifactError: a file of the bundle is missing or altered.
    """
    chosen = target_of(bundle, target, ONNX)
    contract = checked_contract(bundle, out)
    with workspace(out, checked=(out,), check=_check_out) as staging:
        package = _write(bundle, contract, chosen, staging, vectors=vectors)
        publish(staging, out, check=_check_out)
    return WebPackage(path=out, target=chosen, **package)


def _write(bundle: Bundle, contract: Contract, target: str, folder: Path, *, vectors: bool) -> dict[str, Any]:
    (folder / "model").mkdir()
    manifest = write_model_folder(
        bundle,
        contract,
        target,
        folder / "model",
        add_functions=add_functions,
        vectors=API if vectors else "",
    )
    methods = methods_of(contract, members=MEMBERS, arguments=ARGUMENTS)
    size = sum(int(each["bytes"]) for each in manifest["files"].values())
    context = _context(bundle, contract, methods) | {"model_bytes": size, "target": target}
    write_tree(folder, "pocketrec.package.web", context, filters=_FILTERS, built=_BUILT)
    _name_lock(folder / _LOCK, context)
    mark_generated(folder, GENERATED)
    return {
        "name": context["package_name"],
        "version": context["version"],
        "type_name": context["type_name"],
        "methods": tuple(each.name for each in methods),
        "model_bytes": size,
    }


def _context(bundle: Bundle, contract: Contract, methods: tuple[Method, ...]) -> dict[str, Any]:
    """What templates know."""
    from pocketrec import __version__

    name = bundle.manifest.name
    return {
        "name": name,
        "package_name": package_name(name),
        "version": package_version(bundle.manifest.version),
        "type_name": type_name(name, stated=stated_type(bundle), taken=TAKEN | types_of(methods)),
        "contract": contract.to_dict(),
        "contract_sha256": contract.sha256(),
        "methods": methods,
        "items": next((each.call.items for each in methods if each.call.items), ""),
        "answers": sorted({each.answer for each in methods}),
        "pocketrec": __version__,
    }


def as_json(value: object, indent: int | None = None) -> str:
    """A value as JSON that is TypeScript, too, and that ends no script element."""
    text = json.dumps(value, indent=indent, sort_keys=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def as_comment(text: str) -> str:
    """A text that ends no comment and no line."""
    return " ".join(text.split()).replace("*/", "* /")


def as_html(text: str) -> str:
    """A text that HTML shows as it is."""
    from html import escape

    return escape(text, quote=True)


_FILTERS: dict[str, Callable[..., str]] = {
    "json": as_json,
    "comment": as_comment,
    "text": as_text,
    "html": as_html,
    "example": example_of,
    "type": type_of,
}


def _name_lock(path: Path, context: dict[str, Any]) -> None:
    """Gives the lock file the package's name and version."""
    lock = json.loads(path.read_text(encoding="utf-8"))
    for each in (lock, lock["packages"][""]):
        each |= {"name": context["package_name"], "version": context["version"]}
    path.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
