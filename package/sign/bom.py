"""A release's bill of materials: CycloneDX 1.6 with a model card, the same bytes for the same release.

Serial number and time, which the format wants to be new each time, follow from the digest and from `created`.
Source: https://cyclonedx.org/docs/1.6/json/
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator

from pocketrec.contract import Feature, Output
from pocketrec.package.host.roles import calls_of
from pocketrec.package.sign.envelope import Json
from pocketrec.package.sign.release import Release, table, tables, text

_SERIALS = uuid.uuid5(uuid.NAMESPACE_URL, "pocketrec:bom")


def bill_of_materials(release: Release, time: str) -> Json:
    """The document; `time` is what `package.created` gives."""
    manifest = release.manifest
    files = sorted(manifest.files)
    model = f"model:{manifest.tree_sha256}"
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_SERIALS, manifest.tree_sha256)}",
        "version": 1,
        "metadata": {
            "timestamp": time,
            "tools": {
                "components": [{"type": "application", "name": "pocketrec", "version": manifest.pocketrec}]
            },
            "component": {"bom-ref": model, **_model(release)},
        },
        "components": [_file(each, manifest.files[each]) for each in files],
        "dependencies": [{"ref": model, "dependsOn": [f"file:{each}" for each in files]}],
    }


def _file(name: str, digest: str) -> Json:
    kind = "data" if name.startswith("vocabularies/") else "file"
    hashes = [{"alg": "SHA-256", "content": digest}]
    return {"bom-ref": f"file:{name}", "type": kind, "name": name, "hashes": hashes}


def _model(release: Release) -> Json:
    recipe, manifest = release.recipe, release.manifest
    said: dict[str, object] = {
        "type": "machine-learning-model",
        "name": manifest.name,
        "version": manifest.version,
        "modelCard": _card(release),
        "properties": [{"name": "pocketrec:tree_sha256", "value": manifest.tree_sha256}],
    }
    if description := text(recipe, "description"):
        said["description"] = description
    if author := text(recipe, "author"):
        said["authors"] = [{"name": author}]
    if license_name := text(recipe, "license"):
        said["licenses"] = [{"license": {"name": license_name}}]
    return said


def _card(release: Release) -> Json:
    functions = release.contract.functions.values()
    roles = sorted({each.role for each in calls_of(release.contract).values()})
    stated = (table(release.recipe, "evaluate"), *tables(release.recipe, "evaluate"))
    data = dict.fromkeys(name for each in stated if (name := text(each, "data")))
    card: dict[str, object] = {
        "modelParameters": {
            "task": ", ".join(roles),
            "datasets": [{"type": "dataset", "name": name} for name in data],
            "modelArchitecture": text(table(release.recipe, "model"), "factory"),
            "inputs": [{"format": _input(each)} for signature in functions for each in signature.inputs],
            "outputs": [{"format": _output(each)} for signature in functions for each in signature.outputs],
        },
        "quantitativeAnalysis": {"performanceMetrics": list(_metrics(release))},
    }
    if limits := list(_limits(release)):
        card["considerations"] = {"technicalLimitations": limits}
    return card


def _input(feature: Feature) -> str:
    return f"{feature.name}: {feature.dtype} {_shape(feature.shape)}, {feature.kind}"


def _output(output: Output) -> str:
    return f"{output.name}: {output.dtype} {_shape(output.shape)}, {output.meaning}"


def _shape(shape: tuple[int | str, ...]) -> str:
    return f"[{', '.join(map(str, shape))}]"


def _metrics(release: Release) -> Iterator[Json]:
    """Quality on the evaluation data, which does not hang on the machine; times are left to the evidence."""
    for result in tables(release.evidence, "results"):
        place = f"{text(result, 'target')} on {text(result, 'runtime')}"
        for ranking in (table(result, "ranking"), *tables(result, "further")):
            of = f" of {name}" if (name := text(ranking, "name")) else ""
            for metric, value in sorted(table(ranking, "artifact").items()):
                yield {"type": f"{metric}{of}", "value": str(value), "slice": place}


def _limits(release: Release) -> Iterator[str]:
    for result in tables(release.evidence, "results"):
        if text(result, "status") == "not_run":
            yield f"{text(result, 'target')} was not run on {text(result, 'runtime')}"
