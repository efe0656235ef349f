"""What `make zoo` builds of a family: a bundle in float32 and float16, and one in int8, with every target."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.ship.kept import source_sha256

from pocketrec.errors import DataError
from pocketrec.model_zoo.data.folders import folder as data_folder
from pocketrec.model_zoo.family import Family
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.model_zoo.training.train import train
from pocketrec.pipeline.build import build
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.recipe import Compress, Target

ROOT = Path(__file__).parents[2]
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
}


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

    A bundle is known by the source and by the family's own files: what changes with neither is kept.
    """
    out = place / f"{family.name}-{preset}"
    key = place / f"{out.name}.key"
    now = key_of(family)
    if key.is_file() and key.read_text() == now and out.is_dir():
        return out
    for each in (out, out.with_name(f"{out.name}.failed")):
        shutil.rmtree(each, ignore_errors=True)
    compress, targets = PRESETS[preset]
    recipe = load_recipe(family.recipe)
    weights = recipe.model.weights
    made = replace(
        recipe,
        model=replace(recipe.model, weights=None if weights is None else str(family.weights)),
        targets=targets,
        compress=compress,
    )
    result = build(made, out=out)
    if result.passed:
        key.write_text(now)
    return result.path


def trained(family: Family) -> None:
    """Trains the family where its weights do not come along and are not there yet."""
    if not family.committed and not family.weights.is_file():
        train(family.name, progress=False)


def key_of(family: Family) -> str:
    """The digest of the source and of the family's recipe and weights."""
    digest = hashlib.sha256(source_sha256().encode())
    for path in (family.recipe, family.weights):
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()


def evidence_in(bundle: Path) -> dict[str, Any]:
    """The evidence of a bundle, or of a failed build."""
    found: dict[str, Any] = json.loads((bundle / "evidence" / "evidence.json").read_text(encoding="utf-8"))
    return found


def ran(evidence: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The results of artifacts that ran."""
    for each in evidence["results"]:
        if each["status"] == "ran" and each["target"] not in ("reference", "compressed"):
            yield each
