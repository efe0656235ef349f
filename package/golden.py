"""Golden vectors: a few inputs with the outputs that the reference gave, replayed by every verify.

golden/<function>.safetensors   "<vector>/in/<name>" and "<vector>/out/<name>"
golden/<function>.vectors.json  the same numbers as text (golden_text.py)
golden/golden.json              per target, function and output: the tolerance
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ArtifactError
from pocketrec.outside import require_file
from pocketrec.package.bundle import Bundle
from pocketrec.package.golden_text import check_text, read_text_vectors, text_name, to_text
from pocketrec.package.manifest import read_json

Array = npt.NDArray[np.generic]
GOLDEN = "golden/golden.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Vector:
    """One golden vector of a function: its inputs, and what the reference gave for them."""

    name: str
    inputs: Mapping[str, Array]
    outputs: Mapping[str, Array]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoldenIndex:
    """Which functions have golden vectors, and the largest absolute difference that is allowed.

    Attributes:
        schema: version of this layout.
        functions: in the contract's order.
        tolerances: target to function to output to the largest absolute difference of a number.
        tie_tolerance: ids whose scores differ by at most this share of the largest may swap places.
    """

    schema: Literal[1]
    functions: tuple[str, ...]
    tolerances: Mapping[str, Mapping[str, Mapping[str, float]]]
    tie_tolerance: float = 1e-5

    def __post_init__(self) -> None:
        bounds = [
            (f"tolerances.{target}.{function}.{output}", bound)
            for target, functions in self.tolerances.items()
            for function, outputs in functions.items()
            for output, bound in outputs.items()
        ]
        for key, bound in (*bounds, ("tie_tolerance", self.tie_tolerance)):
            if not (isfinite(bound) and bound >= 0):
                raise ArtifactError(f"{key} is {bound}; expected a finite number that is not negative")


def write_golden(
    folder: Path,
    vectors: Mapping[str, tuple[Vector, ...]],
    tolerances: Mapping[str, Mapping[str, Mapping[str, float]]],
    *,
    tie_tolerance: float = 1e-5,
) -> None:
    """Writes `golden/` into a staging folder.

    Args:
        folder: the staging folder.
        vectors: function to its vectors; a vector's name must not hold a slash.
        tolerances: target to function to output to largest absolute difference.
        tie_tolerance: as in the recipe's gates.
    """
    from safetensors.numpy import save

    (folder / "golden").mkdir(exist_ok=True)
    for function, each in vectors.items():
        (folder / "golden" / f"{function}.safetensors").write_bytes(save(_flat(each)))
        text = to_text(function, _sides(each))
        (folder / text_name(function)).write_text(text, encoding="utf-8")
    index = GoldenIndex(
        schema=1, functions=tuple(vectors), tolerances=tolerances, tie_tolerance=tie_tolerance
    )
    text = json.dumps(asdict(index), indent=1, sort_keys=True)
    (folder / GOLDEN).write_text(f"{text}\n", encoding="utf-8")


def _sides(vectors: tuple[Vector, ...]) -> dict[str, tuple[Mapping[str, Array], Mapping[str, Array]]]:
    return {each.name: (each.inputs, each.outputs) for each in vectors}


def check_golden_text(bundle: Bundle, function: str, vectors: tuple[Vector, ...]) -> None:
    """Checks that the vectors as text, where there are any, are these; ArtifactError says what differs."""
    found = read_text_vectors(bundle, function)
    if found is not None:
        check_text(found, function, _sides(vectors))


def _flat(vectors: tuple[Vector, ...]) -> dict[str, Array]:
    flat: dict[str, Array] = {}
    for vector in vectors:
        for side, arrays in (("in", vector.inputs), ("out", vector.outputs)):
            for name, array in arrays.items():
                # Not ascontiguousarray, which gives one number an axis.
                flat[f"{vector.name}/{side}/{name}"] = np.asarray(array, order="C")
    return dict(sorted(flat.items()))


def read_golden_index(bundle: Bundle) -> GoldenIndex:
    """The bundle's golden.json; raises ArtifactError naming the file."""
    bundle.file(GOLDEN)
    return read_json(bundle.path, GOLDEN, GoldenIndex)


def read_golden(bundle: Bundle, function: str) -> tuple[Vector, ...]:
    """The golden vectors of a function, by name; raises ArtifactError naming the file."""
    from safetensors.numpy import load_file

    name = f"golden/{function}.safetensors"
    try:
        flat = load_file(require_file(bundle.file(name)))
    except ArtifactError:
        raise
    except Exception as error:
        raise ArtifactError(f"{name}: not a safetensors file ({error}); pull the bundle again") from error
    sides: dict[str, dict[str, dict[str, Array]]] = {}
    for key, array in flat.items():
        vector, side, tensor = _split(key, name)
        sides.setdefault(vector, {"in": {}, "out": {}})[side][tensor] = array
    return tuple(
        Vector(name=vector, inputs=each["in"], outputs=each["out"]) for vector, each in sorted(sides.items())
    )


def _split(key: str, name: str) -> tuple[str, str, str]:
    parts = key.split("/")
    if len(parts) != 3 or parts[1] not in ("in", "out"):
        raise ArtifactError(f"{name}: tensor {key!r}; expected <vector>/in/<name> or <vector>/out/<name>")
    return parts[0], parts[1], parts[2]
