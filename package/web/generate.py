"""An npm package from a bundle, written whole or not at all."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketrec.contract import Contract
from pocketrec.errors import UsageError
from pocketrec.package.bundle import Bundle
from pocketrec.package.manifest import read_json
from pocketrec.package.publish import publish, workspace
from pocketrec.package.web.methods import Method, methods_of
from pocketrec.package.web.model_folder import target_of, write_model_folder
from pocketrec.package.web.names import package_name, package_version, type_name

if TYPE_CHECKING:
    from jinja2 import Environment

GENERATED = ".pocketrec-web.json"  # marks a folder that may be written again
_TEMPLATE = ".j2"
_LOCK = "package-lock.json"
_BUILT = frozenset({"node_modules", "dist"})  # what npm and tsc put there


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
    chosen = target_of(bundle, target)
    contract = read_json(bundle.path, "contract.json", Contract)
    with workspace(out, checked=(out,), check=_check_out) as staging:
        package = _write(bundle, contract, chosen, staging, vectors=vectors)
        publish(staging, out, check=_check_out)
    return WebPackage(path=out, target=chosen, **package)


def _write(bundle: Bundle, contract: Contract, target: str, folder: Path, *, vectors: bool) -> dict[str, Any]:
    (folder / "model").mkdir()
    manifest = write_model_folder(bundle, contract, target, folder / "model", vectors=vectors)
    methods = methods_of(contract)
    size = sum(int(each["bytes"]) for each in manifest["files"].values())
    context = _context(bundle, contract, methods) | {"model_bytes": size, "target": target}
    _write_tree(folder, context)
    _name_lock(folder / _LOCK, context)
    (folder / GENERATED).write_text('{"schema": 1}\n', encoding="utf-8")
    _make_modes_canonical(folder)
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
        "type_name": type_name(name),
        "contract": contract.to_dict(),
        "contract_sha256": contract.sha256(),
        "methods": methods,
        "items": next((each.call.items for each in methods if each.call.items), ""),
        "answers": sorted({each.answer for each in methods}),
        "pocketrec": __version__,
    }


def _write_tree(folder: Path, context: dict[str, Any]) -> None:
    """Renders or copies every file of the templates' tree."""
    environment = _environment()
    root = resources.files("pocketrec.package.web") / "templates" / "package"
    with resources.as_file(root) as tree:
        for path in sorted(tree.rglob("*")):
            place = folder / path.relative_to(tree)
            if path.is_dir() or _BUILT & set(path.relative_to(tree).parts):
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if path.suffix == _TEMPLATE:
                text = environment.from_string(path.read_text(encoding="utf-8")).render(context)
                place.with_suffix("").write_text(text, encoding="utf-8")
            else:
                shutil.copyfile(path, place)


def _environment() -> Environment:
    """Templates in which a name that is not there is an error, and what a bundle says is quoted."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(  # noqa: S701 (this is no HTML: every value goes through one of the filters)
        undefined=StrictUndefined, keep_trailing_newline=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters |= {"json": as_json, "comment": as_comment, "text": as_text, "html": as_html}
    return environment


def as_json(value: object, indent: int | None = None) -> str:
    """A value as JSON that is TypeScript, too, and that ends no script element."""
    text = json.dumps(value, indent=indent, sort_keys=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


def as_comment(text: str) -> str:
    """A text that ends no comment and no line."""
    return " ".join(text.split()).replace("*/", "* /")


def as_text(text: str) -> str:
    """A text that Markdown shows as it is."""
    plain = " ".join(text.split())
    return "".join(f"\\{each}" if each in "\\`*_{}[]<>()#+!|~&" else each for each in plain)


def as_html(text: str) -> str:
    """A text that HTML shows as it is."""
    from html import escape

    return escape(text, quote=True)


def _name_lock(path: Path, context: dict[str, Any]) -> None:
    """Gives the lock file the package's name and version."""
    lock = json.loads(path.read_text(encoding="utf-8"))
    for each in (lock, lock["packages"][""]):
        each |= {"name": context["package_name"], "version": context["version"]}
    path.write_text(json.dumps(lock, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _check_out(out: Path) -> None:
    """Checks that nothing is in the way; UsageError rather than replace anything but an earlier package."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UsageError(f"{out}: a file is there; pass another --out, or remove it")
    if any(out.iterdir()) and not (out / GENERATED).is_file():
        raise UsageError(f"{out}: not empty and no package of this command; pass another --out, or remove it")


def _make_modes_canonical(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
