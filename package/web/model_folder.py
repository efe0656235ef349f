"""The folder that a page hosts: artifacts, vocabularies, and a manifest of them with their digests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocketrec.contract import Contract, vocabulary_file
from pocketrec.errors import ArtifactError, UsageError
from pocketrec.package.bundle import Bundle
from pocketrec.package.manifest import file_sha256
from pocketrec.package.vocabularies import check_tokens_there

_WEB = "web"  # the target that is made for browsers
_VECTORS = "golden/api.json"


def target_of(bundle: Bundle, stated: str | None) -> str:
    """The target whose artifacts a browser runs: the one stated, else `web`, else the only one of ONNX.

    Raises:
        UsageError: there is none, or there are several; says which there are.
    """
    targets = bundle.manifest.artifacts
    onnx = [name for name, paths in targets.items() if all(each.endswith(".onnx") for each in paths.values())]
    if stated is not None:
        if stated not in onnx:
            known = ", ".join(map(repr, sorted(onnx))) or "none"
            raise UsageError(f"--target is {stated!r}; expected a target of ONNX files, here {known}")
        return stated
    if _WEB in onnx:
        return _WEB
    if len(onnx) != 1:
        came = f"has {', '.join(sorted(onnx))}" if onnx else "has no ONNX artifact"
        step = "pass --target" if onnx else "add [targets.web] to the recipe, and build again"
        raise UsageError(f"{bundle.path}: {came}; {step}")
    return onnx[0]


@dataclass(slots=True, kw_only=True)
class _Folder:
    """A model folder as it is filled: a name in it to its digest and size."""

    bundle: Bundle
    path: Path
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, source: str, name: str) -> str:
        """Copies a file of the bundle and checks it on the way; its name in the folder."""
        path = self.bundle.file(source)
        copy = self.path / name
        shutil.copyfile(path, copy)
        digest = file_sha256(copy)
        if digest != self.bundle.manifest.files.get(source):
            raise ArtifactError(f"{source}: altered, manifest.json has another sha256; pull the bundle again")
        self.files[name] = {"sha256": digest, "bytes": copy.stat().st_size}
        return name


def write_model_folder(
    bundle: Bundle, contract: Contract, target: str, path: Path, *, vectors: bool
) -> dict[str, Any]:
    """The manifest, written into `path` beside the files that it lists.

    Args:
        bundle: where the files come from.
        contract: of the bundle.
        target: whose artifacts they are.
        path: an empty folder.
        vectors: whether the API vectors come along, to be replayed where the model runs.

    Raises:
        ArtifactError: a file is missing or altered; names it.
    """
    folder = _Folder(bundle=bundle, path=path)
    manifest: dict[str, Any] = {
        "schema": 1,
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
        "contract_sha256": contract.sha256(),
        "functions": _functions(folder, bundle.manifest.artifacts[target]),
        "vocabularies": {name: _vocabulary(folder, contract, name) for name in contract.vocabularies},
        "files": folder.files,
    }
    if vectors:
        manifest["api"] = folder.add(_VECTORS, "api.json")
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    (path / "manifest.json").write_text(text, encoding="utf-8")
    return manifest


def _functions(folder: _Folder, artifacts: Mapping[str, str]) -> dict[str, Any]:
    found = {}
    for function, path in sorted(artifacts.items()):
        beside = [each for each in folder.bundle.manifest.files if each.startswith(f"{path}.")]
        graph = folder.add(path, Path(path).name)
        found[function] = {
            "graph": graph,
            "data": [folder.add(each, Path(each).name) for each in sorted(beside)],
        }
    return found


def _vocabulary(folder: _Folder, contract: Contract, name: str) -> dict[str, str | None]:
    spec = contract.vocabularies[name]
    check_tokens_there(name, spec)
    found: dict[str, str | None] = {"tokens": None, "titles": None, "spellings": None}
    for key, digest in spec.digests.items():
        source = vocabulary_file(name, key)
        found[key] = folder.add(source, Path(source).name)
        if folder.files[Path(source).name]["sha256"] != digest:
            raise ArtifactError(f"{source}: contract.json has another sha256; pull the bundle again")
    return found
