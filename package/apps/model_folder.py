"""The folder that an app takes along or fetches: artifacts, vocabularies, a manifest with their digests."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pocketrec.contract import Contract, vocabulary_file
from pocketrec.errors import ArtifactError, UsageError
from pocketrec.outside import open_file
from pocketrec.package.bundle import Bundle, read_contract
from pocketrec.package.manifest import file_sha256
from pocketrec.package.vocabularies import check_tokens_there, vocabularies_of

_PIECE = 1 << 20  # bytes copied at a time


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """What artifacts a package runs, and what an error says of them.

    Attributes:
        suffix: of an artifact's path.
        files: what artifacts of the suffix are called.
        preferred: the target that is taken where several have such artifacts; empty for none.
        step: what to do where there is none.
    """

    suffix: str
    files: str
    preferred: str
    step: str


def target_of(bundle: Bundle, stated: str | None, wanted: Format) -> str:
    """The target whose artifacts a package runs: the one stated, else the preferred one, else the only one.

    Raises:
        UsageError: there is none, or there are several; says which there are.
    """
    found = [
        name
        for name, paths in bundle.manifest.artifacts.items()
        if all(each.endswith(wanted.suffix) for each in paths.values())
    ]
    if stated is not None:
        if stated not in found:
            known = ", ".join(map(repr, sorted(found))) or "none"
            raise UsageError(
                f"--target is {stated!r}; expected a target of {wanted.files} files, here {known}"
            )
        return stated
    if wanted.preferred in found:
        return wanted.preferred
    if len(found) != 1:
        came = f"has {', '.join(sorted(found))}" if found else f"has no {wanted.files} artifact"
        raise UsageError(f"{bundle.path}: {came}; {'pass --target' if found else wanted.step}")
    return found[0]


def checked_contract(bundle: Bundle, out: Path) -> Contract:
    """The contract of a bundle from which a package is written into `out`.

    Raises:
        UsageError: the package would replace the bundle.
        ArtifactError: the contract or a vocabulary is altered, or they do not fit each other.
    """
    if bundle.path.resolve().is_relative_to(out.resolve()):
        raise UsageError(f"{out}: the bundle lies there, which the package would replace; pass another --out")
    contract = read_contract(bundle)
    vocabularies_of(bundle, contract.vocabularies)  # an app would only find out when it looks a word up
    return contract


@dataclass(slots=True, kw_only=True)
class Folder:
    """A model folder as it is filled: a name in it to its digest and size."""

    bundle: Bundle
    path: Path
    files: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, source: str, name: str) -> str:
        """Copies a file of the bundle and checks it on the way; its name in the folder."""
        copy = self.path / name
        if name in self.files:
            raise ArtifactError(f"{source}: another file of the target has its name; build the bundle again")
        copy.parent.mkdir(parents=True, exist_ok=True)
        with open_file(self.bundle.file(source)) as file, copy.open("xb") as out:
            shutil.copyfileobj(file, out, _PIECE)
        digest = file_sha256(copy)
        if digest != self.bundle.manifest.files.get(source):
            raise ArtifactError(f"{source}: altered, manifest.json has another sha256; pull the bundle again")
        self.files[name] = {"sha256": digest, "bytes": copy.stat().st_size}
        return name

    def add_made(self, name: str, data: bytes) -> str:
        """Writes a file that is no file of the bundle; its name in the folder."""
        copy = self.path / name
        copy.write_bytes(data)
        self.files[name] = {"sha256": file_sha256(copy), "bytes": len(data)}
        return name


AddFunctions = Callable[[Folder, Mapping[str, str]], Mapping[str, Any]]
AddIndex = Callable[[Folder, str, Mapping[str, str | None]], str]


def write_model_folder(
    bundle: Bundle,
    contract: Contract,
    target: str,
    path: Path,
    *,
    add_functions: AddFunctions,
    more: Mapping[str, Any] | None = None,
    add_index: AddIndex | None = None,
    vectors: str = "",
) -> dict[str, Any]:
    """The manifest, written into `path` beside the files that it lists.

    Args:
        bundle: where the files come from.
        contract: of the bundle.
        target: whose artifacts they are.
        path: an empty folder.
        add_functions: adds artifacts, given by function; what the manifest says of every function.
        more: other keys of the manifest.
        add_index: adds an index of a vocabulary whose files are given by key; its name.
        vectors: the API vectors' file in the bundle, where they come along.

    Raises:
        ArtifactError: a file is missing or altered, or the target lacks a function; names it.
    """
    folder = Folder(bundle=bundle, path=path)
    artifacts = bundle.manifest.artifacts[target]
    if other := sorted(artifacts.keys() ^ contract.functions.keys()):
        raise ArtifactError(
            f"manifest.json: target {target} and contract.json have other functions ({', '.join(other)}); "
            "build the bundle again"
        )
    manifest: dict[str, Any] = {
        "schema": 1,
        "name": bundle.manifest.name,
        "version": bundle.manifest.version,
        "contract_sha256": contract.sha256(),
        **(more or {}),
        "functions": add_functions(folder, artifacts),
        "vocabularies": dict(_vocabularies(folder, contract, add_index)),
        "files": folder.files,
    }
    if vectors:
        manifest["api"] = folder.add(vectors, Path(vectors).name)
    text = json.dumps(manifest, indent=1, sort_keys=True) + "\n"
    (path / "manifest.json").write_text(text, encoding="utf-8")
    return manifest


def _vocabularies(
    folder: Folder, contract: Contract, add_index: AddIndex | None
) -> Iterable[tuple[str, dict[str, str | None]]]:
    for name in contract.vocabularies:
        found = _vocabulary(folder, contract, name)
        if add_index is not None:
            found["index"] = add_index(folder, name, found)
        yield name, found


def _vocabulary(folder: Folder, contract: Contract, name: str) -> dict[str, str | None]:
    spec = contract.vocabularies[name]
    check_tokens_there(name, spec)
    found: dict[str, str | None] = {"tokens": None, "titles": None, "spellings": None}
    for key, digest in spec.digests.items():
        source = vocabulary_file(name, key)
        found[key] = folder.add(source, Path(source).name)
        if folder.files[Path(source).name]["sha256"] != digest:
            raise ArtifactError(f"{source}: contract.json has another sha256; pull the bundle again")
    return found
