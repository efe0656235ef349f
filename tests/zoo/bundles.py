"""A family's bundles, of which the zoo, the web and Swift show things, and when they are kept."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.kept import ENGINE, ROOT, source_sha256

from pocketrec.errors import DataError
from pocketrec.files import alone_in
from pocketrec.model_zoo.data.folders import folder as data_folder
from pocketrec.model_zoo.family import Family
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.train import train
from pocketrec.pipeline.build import build
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.recipe import Compress, Target

_ZOO = "pocketrec.model_zoo."
_NAMED = re.compile(rf"({re.escape(_ZOO)}[\w.]+)")
_WEB = {"onnx": Target(format="onnx"), "web": Target(format="web")}
ON_WEBGPU = ("dlrm", "sasrec", "two-tower")  # in a build, too: in software it takes minutes of both cores
PRESETS: dict[str, tuple[Compress, dict[str, Target]]] = {
    "float": (
        Compress(),
        {
            "onnx": Target(format="onnx"),
            "coreml": Target(format="coreml", precision="float32"),
            "coreml_fp16": Target(format="coreml", precision="float16"),
            "web": Target(format="web"),
        },
    ),
    "int8": (
        Compress(preset="int8"),
        {
            "onnx": Target(format="onnx"),
            "coreml": Target(format="coreml", precision="float16"),
            "web": Target(format="web"),
        },
    ),
    "int4": (Compress(preset="int4"), _WEB),
    "smallest-neutral": (Compress(preset="smallest-neutral", time_limit_s=120.0), _WEB),
}
JUDGED = ("float", "int8")  # by `make zoo`


def absent(family: Family) -> str:
    """Why the family cannot be built here; empty where it can."""
    try:
        data_folder(family.data)
    except DataError as error:
        return str(error)
    return ""


def here(names: list[str]) -> list[str]:
    """Those of the families whose data are here; the others are said to be not run."""
    found = []
    for name in names:
        missing = absent(FAMILIES[name])
        if missing:
            print(f"not run: {name}: {missing}", flush=True)
        else:
            found.append(name)
    return found


def bundle_of(family: Family, preset: str, place: Path) -> Path:
    """The bundle, or what is left of a failed build of it; built where it is not there yet.

    A bundle is known by the engine's source and by what its recipe reaches of the zoo: what changes with
    neither is kept.
    """
    out = place / f"{family.name}-{preset}"
    lock = place / f"{out.name}.lock"
    lock.touch()
    with alone_in(lock):  # two runs that share a folder build it once
        return _built(family, preset, out)


def _built(family: Family, preset: str, out: Path) -> Path:
    key = out.with_name(f"{out.name}.key")
    now = key_of(family, preset)
    if key.is_file() and key.read_text() == now and out.is_dir():
        return out
    for each in (out, out.with_name(f"{out.name}.failed")):
        shutil.rmtree(each, ignore_errors=True)
    compress, targets = preset_of(family, preset)
    recipe = load_recipe(family.recipe)
    weights = recipe.model.weights
    made = replace(
        recipe,
        model=replace(recipe.model, weights=None if weights is None else str(family.weights)),
        targets=targets,
        compress=compress,
    )
    result = build(made, out=out)
    if result.passed and not in_no_browser(evidence_in(result.path)):  # there may be one later
        key.write_text(now)
    return result.path


def passed_bundle(family: Family, preset: str, place: Path) -> Path:
    """The bundle of a family that is trained, built where it is not there yet.

    Raises:
        SystemExit: a gate failed; the first is named.
    """
    path = bundle_of(family, preset, place)
    failed = [each["message"] for each in evidence_in(path)["gates"] if each["status"] == "failed"]
    if failed:
        raise SystemExit(f"{path.name}: the build failed: {failed[0]}")
    return path


def preset_of(family: Family, preset: str) -> tuple[Compress, dict[str, Target]]:
    """Compression and targets; in a browser most families are evaluated on WebAssembly alone."""
    compress, targets = PRESETS[preset]
    if family.name in ON_WEBGPU:
        return compress, targets
    return compress, {**targets, "web": replace(targets["web"], providers=("wasm",))}


def trained(family: Family) -> None:
    """Trains the family where its weights do not come along and are not there yet."""
    if not family.committed and not family.weights.is_file():
        train(family.name, progress=False)


def key_of(family: Family, preset: str) -> str:
    """The digest of the engine, of what the family's recipe reaches of the zoo, and of its weights."""
    digest = hashlib.sha256(f"{source_sha256(rooms=ENGINE)} {preset_of(family, preset)}".encode())
    for path in (family.recipe, family.weights, *sorted(reached(family.recipe))):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def reached(recipe: Path) -> set[Path]:
    """The zoo's modules that a recipe names, and all that they import of it."""
    found, names = set[Path](), set(_NAMED.findall(recipe.read_text(encoding="utf-8")))
    while names:
        path = ROOT.joinpath(*names.pop().split(".")[1:]).with_suffix(".py")
        if path in found or not path.is_file():
            continue
        found.add(path)
        names |= _imported(path)
    return found


def _imported(path: Path) -> set[str]:
    """What a module imports of the zoo, and what may be a module of it."""
    found = set[str]()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{each.name}" for each in node.names)}
        elif isinstance(node, ast.Import):
            found |= {each.name for each in node.names}
    return {each for each in found if each.startswith(_ZOO)}


def evidence_in(bundle: Path) -> dict[str, Any]:
    """The evidence of a bundle, or of a failed build."""
    found: dict[str, Any] = json.loads((bundle / "evidence" / "evidence.json").read_text(encoding="utf-8"))
    return found


def in_no_browser(evidence: dict[str, Any]) -> str:
    """Why the web target did not run in a browser; empty where it did."""
    web = [each for each in evidence["results"] if each["target"] == "web"]
    return next((str(each["reason"]) for each in web if each["status"] != "ran"), "")


def ran(evidence: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The results of artifacts that ran."""
    for each in evidence["results"]:
        if each["status"] == "ran" and each["target"] not in ("reference", "compressed"):
            yield each
