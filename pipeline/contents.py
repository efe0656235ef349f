"""What a bundle holds besides its artifacts and manifests, written into a staging folder."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import VocabularyFiles, vocabulary_file
from pocketrec.convert.targets import TARGETS
from pocketrec.errors import StorageError
from pocketrec.pipeline.shapes import with_shapes
from pocketrec.recipe import Recipe, Target
from pocketrec.report import Evidence

if TYPE_CHECKING:
    from pocketrec.package.api import ApiVectors
    from pocketrec.package.golden import Vector
    from pocketrec.validate.evidence import Reference

# Enough to notice a wrong file; all probes stand in the evidence.
_GOLDEN_VECTORS = 8


def write_contents(
    folder: Path,
    recipe: Recipe,
    vocabularies: Mapping[str, VocabularyFiles],
    reference: Reference,
    evidence: Evidence,
    artifacts: Mapping[str, Mapping[str, Path]],
    api: ApiVectors | None = None,
) -> None:
    """Writes recipe, contract, vocabularies, golden vectors, API vectors and evidence into `folder`.

    `artifacts` are there already, by target and function.

    Raises:
        StorageError: there is no room for them.
    """
    from pocketrec.package.api import write_api
    from pocketrec.package.bundle import RECIPE
    from pocketrec.package.golden import write_golden

    with _room(folder):
        _write_json(folder / RECIPE, recipe.to_dict())
        _write_json(folder / "contract.json", with_shapes(reference.contract, artifacts))
        (folder / "vocabularies").mkdir()
        for name, files in vocabularies.items():
            for key, each in files.items():
                with (folder / vocabulary_file(name, key)).open("wb") as file:
                    file.writelines(each.chunks())
        tolerances = _tolerances(recipe, reference, evidence)
        write_golden(folder, _golden(reference), tolerances, tie_tolerance=recipe.gates.tie_tolerance)
        if api is not None:
            write_api(folder, api)
        (folder / "evidence").mkdir()
    write_evidence(folder, evidence, version=recipe.version)


def write_evidence(folder: Path, evidence: Evidence, *, version: str) -> None:
    """Writes evidence and reports into `evidence/` of the folder, over those that are there.

    `version` is the bundle's.

    Raises:
        StorageError: there is no room for them.
    """
    from pocketrec.package.manifest import tree_of
    from pocketrec.validate.report.html import to_html
    from pocketrec.validate.report.short import to_markdown

    place = folder / "evidence"
    with _room(folder):
        evidence = replace(evidence, tree_sha256=tree_of(folder))
        (place / "evidence.json").write_text(evidence.to_json(), encoding="utf-8")
        (place / "report.md").write_text(to_markdown(evidence), encoding="utf-8")
        (place / "report.html").write_text(to_html(evidence, version=version), encoding="utf-8")


@contextmanager
def _room(folder: Path) -> Iterator[None]:
    """Makes a StorageError of what the system says while this is open."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{folder.parent}: {error.strerror or error} while the evidence was written; free space, and "
            "build again"
        ) from error


def _golden(reference: Reference) -> dict[str, tuple[Vector, ...]]:
    """The first probes of every function with what the reference gave for them."""
    from pocketrec.package.golden import Vector

    return {
        function: tuple(
            Vector(name=f"{number:02d}", inputs=dict(probe.inputs), outputs=dict(outputs))
            for number, (probe, outputs) in enumerate(zip(probes, reference.outputs[function], strict=True))
            if number < _GOLDEN_VECTORS
        )
        for function, probes in reference.probes.items()
    }


def _tolerances(
    recipe: Recipe, reference: Reference, evidence: Evidence
) -> dict[str, dict[str, dict[str, float]]]:
    """Target to function to output to the largest difference that `verify` accepts."""
    noise = _measured(evidence)
    return {
        target: {
            function: {
                each.name: _tolerance(
                    recipe,
                    spec,
                    [outputs[each.name] for outputs in vectors],
                    noise.get((target, function, each.name), math.inf),
                )
                for each in reference.contract.functions[function].outputs
            }
            for function, vectors in reference.outputs.items()
        }
        for target, spec in recipe.targets.items()
    }


def _measured(evidence: Evidence) -> dict[tuple[str, str, str], float]:
    """Target, function and output to the largest difference on the engine that every machine has."""
    engines = {row.portable for row in TARGETS.values()}
    return {
        (result.target, each.function, each.output): each.max_abs_error
        for result in evidence.results
        for each in result.parity
        if result.runtime in engines and not each.failure and math.isfinite(each.max_abs_error)
    }


def _tolerance(
    recipe: Recipe, target: Target, expected: Sequence[npt.NDArray[Any]], measured: float
) -> float:
    """The largest difference; for float16 what was measured with a margin, within what the gate allows.

    The gate allows eight standard deviations of its noise. The margin is a factor of eight, rounded up to a
    power of two so that machines agree on it: another engine accumulates in float16, too.
    """
    from pocketrec.validate.measure.tolerances import same_within

    if target.precision == "float32":
        stated = recipe.gates.max_abs_error
        return max(map(same_within, expected)) if stated is None else stated
    level = max(float(np.sqrt(np.mean(np.square(each.astype(np.float64))))) for each in expected)
    sqnr_db = 40.0 if recipe.gates.min_sqnr_db is None else recipe.gates.min_sqnr_db
    allowed = float(f"{8 * level * 10 ** (-sqnr_db / 20):.2g}")
    if not level or math.isinf(measured):
        return allowed
    return min(allowed, 2.0 ** math.ceil(math.log2(8 * max(measured, level * 2.0**-11))))


def _write_json(path: Path, value: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(value, indent=1, sort_keys=True) + "\n", encoding="utf-8")
