"""A small bundle with a Core ML package that is none inside, for what is generated from a bundle."""

from __future__ import annotations

import json
from pathlib import Path

from tests.package.web.conftest import TITLES, TOKENS, lines, toy_contract

from pocketrec.contract import Contract
from pocketrec.package.bundle import Bundle, publish, read_bundle, seal, staging

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


def make_bundle(
    place: Path,
    *,
    name: str = "toy",
    version: str = "1.0.0",
    contract: Contract | None = None,
    start: bytes = b"\x08\x08",
) -> Bundle:
    """A bundle of two targets of Core ML whose functions have a package each, whose programs begin so."""
    used = contract or toy_contract()
    targets = {
        target: {function: f"artifacts/{target}/{function}.mlpackage" for function in used.functions}
        for target in ("coreml", "phone")
    }
    with staging(place) as folder:
        for paths in targets.values():
            for path in paths.values():
                _write(folder / path, start)
        (folder / "vocabularies").mkdir()
        for vocabulary in used.vocabularies:
            (folder / "vocabularies" / f"{vocabulary}.txt").write_text(lines(TOKENS))
            (folder / "vocabularies" / f"{vocabulary}.titles.txt").write_text(lines(TITLES))
        (folder / "contract.json").write_text(json.dumps(used.to_dict()))
        seal(folder, name=name, version=version, artifacts=targets)
        publish(folder, place)
    return read_bundle(place)


def _write(package: Path, start: bytes) -> None:
    for file in ("Manifest.json", MODEL, WEIGHTS):
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).write_text(f"{file} of {package.name}")
    (package / MODEL).write_bytes(start)
