"""A release in its own words, of which a test changes what it is about."""

from __future__ import annotations

import hashlib
from typing import Any

from pocketrec.contract import Contract, Dim, Feature, Output, Signature, VocabularySpec
from pocketrec.package.manifest import Manifest, tree_sha256
from pocketrec.package.sign.release import Release

CONTRACT = Contract(
    functions={
        "main": Signature(
            inputs=(
                Feature(
                    name="history",
                    kind="id_sequence",
                    shape=("batch", 4),
                    vocabulary="item",
                    padding_side="left",
                    out_of_vocabulary="padding",
                ),
            ),
            outputs=(Output(name="scores", meaning="score", shape=("batch", 9), vocabulary="item"),),
        )
    },
    dims={"batch": Dim(max=4)},
    vocabularies={"item": VocabularySpec(size=9, padding_id=0)},
)
EVIDENCE: dict[str, Any] = {
    "versions": {"pocketrec": "0.1.0", "torch": "2.13.0+cpu", "ml_dtypes": "0.6"},
    "machine": {"python": "3.11.7"},
    "gates": [
        {"gate": "same_numbers", "target": "onnx", "runtime": "onnxruntime", "status": "passed"},
        {"gate": "max_assumptions", "target": "onnx", "runtime": "", "status": "passed"},
    ],
    "results": [
        {
            "target": "onnx",
            "runtime": "onnxruntime",
            "status": "ran",
            "ranking": {"artifact": {"ndcg@10": 0.1, "hr@10": 0.25}},
        },
        {"target": "coreml", "runtime": "coreml-framework", "status": "not_run", "ranking": None},
    ],
}


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def release(recipe: dict[str, Any] | None = None, version: str = "1.0", **evidence: Any) -> Release:
    files = {name: digest(name + version) for name in ("recipe.json", "a.onnx", "vocabularies/item.txt")}
    manifest = Manifest(
        schema=1,
        pocketrec="0.1.0",
        name="mine",
        version=version,
        files=files,
        tree_sha256=tree_sha256(files),
        artifacts={"onnx": {"main": "a.onnx"}},
    )
    return Release(
        manifest=manifest,
        digest=digest("manifest" + version),
        evidence_digest=digest("evidence"),
        contract=CONTRACT,
        recipe={"model": {"factory": "model.py:make"}} if recipe is None else recipe,
        evidence={**EVIDENCE, **evidence},
    )
