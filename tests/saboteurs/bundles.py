"""What somebody does to a bundle who may write all of its files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file
from tests.package.sign.signing import pair, reseal, sign
from tests.saboteurs import graphs, world
from tests.saboteurs.converters import converted
from tests.saboteurs.kit import Outcome, verified

from pocketrec.package.bundle import read_bundle
from pocketrec.package.manifest import seal

Change = Callable[[Path], object]
EVIDENCE = "evidence/evidence.json"


def untouched(folder: Path) -> Outcome:
    """The honest bundle, verified where it was copied to."""
    return altered(lambda bundle: None, sealed=False)(folder)


def altered(change: Change, *, sealed: bool) -> Callable[[Path], Outcome]:
    """An honest bundle that was changed, and sealed again or not."""

    def act(folder: Path) -> Outcome:
        bundle = _honest(folder)
        change(bundle)
        if sealed:
            _seal(bundle)
        return verified(bundle)

    return act


def signed(change: Change | None = None) -> Callable[[Path], Outcome]:
    """An honest bundle that its maker signed, changed and sealed again where asked, verified with the key."""

    def act(folder: Path) -> Outcome:
        bundle, key = _honest(folder), pair(folder)
        sign(bundle, key)
        if change is not None:
            change(bundle)
            if (bundle / "signatures").is_dir():
                reseal(bundle)
        return verified(bundle, key.public)

    return act


def unsigned(change: Change) -> Callable[[Path], Outcome]:
    """An honest bundle that nobody signed, changed and sealed again, verified with a key."""

    def act(folder: Path) -> Outcome:
        bundle = _honest(folder)
        change(bundle)
        _seal(bundle)
        return verified(bundle, pair(folder).public)

    return act


def signed_by_another(folder: Path) -> Outcome:
    """A bundle that somebody else signed, verified with the maker's key."""
    bundle = _honest(folder)
    sign(bundle, pair(folder, "other"))
    return verified(bundle, pair(folder).public)


def failed_as_passed(folder: Path) -> Outcome:
    """A build that failed, every verdict of which was made "passed"."""
    found = converted(graphs.zeros)(folder)
    assert found.path is not None
    return _sealed_as_mine(found.path, everything_passed)


def _sealed_as_mine(bundle: Path, change: Change) -> Outcome:
    from tests.saboteurs.kit import registered

    from pocketrec.convert.targets import TARGETS

    change(bundle)
    _seal(bundle)
    with registered({"mine": TARGETS["onnx"]}):
        return verified(bundle)


def everything_passed(bundle: Path) -> None:
    edit(bundle / EVIDENCE, lambda table: [each.update(status="passed") for each in table["gates"]])


def nothing_said(bundle: Path) -> None:
    """Removes the verdicts that are not wanted."""

    def keep(table: Any) -> None:
        table["gates"] = [each for each in table["gates"] if each["gate"] == "comparison"][:1]
        table["results"] = [each for each in table["results"] if each["target"] == "reference"]

    edit(bundle / EVIDENCE, keep)


def a_word(bundle: Path) -> None:
    path = bundle / EVIDENCE
    path.write_text(path.read_text().replace('"status": "passed"', '"status": "skipped"', 1))


def another_model(bundle: Path) -> None:
    """Puts an artifact of zeros in, and what it gives into the golden vectors."""
    _other_artifact(bundle)
    path = bundle / "golden/main.safetensors"
    vectors = load_file(path)
    zeros = {
        name: np.zeros_like(each) if name.endswith("/out/scores") else each for name, each in vectors.items()
    }
    save_file(zeros, path)
    (bundle / "golden/main.vectors.json").unlink()
    (bundle / "golden/api.json").unlink(missing_ok=True)


def another_model_and_evidence(bundle: Path) -> None:
    """The same, and evidence that says that it is of these files."""
    another_model(bundle)
    own_evidence(bundle)


def own_evidence(bundle: Path) -> None:
    """Has the evidence state the tree that is there now."""
    signatures = bundle / "signatures"
    kept = {each.name: each.read_bytes() for each in signatures.iterdir()} if signatures.is_dir() else {}
    if kept:
        shutil.rmtree(signatures)
    _seal(bundle)
    tree = read_bundle(bundle).manifest.tree_sha256
    edit(bundle / EVIDENCE, lambda table: table.update(tree_sha256=tree))
    if kept:
        signatures.mkdir()
        for name, data in kept.items():
            (signatures / name).write_bytes(data)


def _other_artifact(bundle: Path) -> None:
    graphs.edited(bundle / "artifacts/onnx/main.onnx", graphs.zeros)


def others_evidence(bundle: Path) -> None:
    """Evidence of another training of the same recipe."""
    other = world.honest(
        bundle.parent / "other",
        model=world.changed(world.MODEL, ("USERS, SEED = 41, 6, 64, 0", "USERS, SEED = 41, 6, 64, 1")),
    )
    assert other.path is not None
    shutil.rmtree(bundle / "evidence")
    shutil.copytree(other.path / "evidence", bundle / "evidence")


def loosened_contract(bundle: Path) -> None:
    edit(bundle / "contract.json", lambda table: table["dims"]["batch"].update(max=64))


def loosened_contract_alone(bundle: Path) -> None:
    loosened_contract(bundle)
    without_calls(bundle)


def loosened_tolerance(bundle: Path) -> None:
    def widen(table: Any) -> None:
        table["tolerances"]["onnx"]["main"] = {"scores": 100.0, "watch": 100.0}

    edit(bundle / "golden/golden.json", widen)


def without_calls(bundle: Path) -> None:
    (bundle / "golden/api.json").unlink()


def without_vectors(bundle: Path) -> None:
    (bundle / "golden/main.safetensors").unlink()


def without_signatures(bundle: Path) -> None:
    shutil.rmtree(bundle / "signatures")


def flipped(bundle: Path) -> None:
    """One bit of the artifact."""
    path = bundle / "artifacts/onnx/main.onnx"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


def edit(path: Path, change: Callable[[Any], object]) -> None:
    """Changes a JSON file in its place."""
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")


def _honest(folder: Path) -> Path:
    found = world.honest(folder)
    assert found.path is not None, found.said
    return found.path


def _seal(bundle: Path) -> None:
    table = json.loads((bundle / "manifest.json").read_text())
    seal(bundle, name=table["name"], version=table["version"], artifacts=table["artifacts"])
