"""The scales of compressed tensors, which the next release can keep: compression/scales.safetensors.

"<tensor>/scales" and "<tensor>/zero_points", as every artifact stores them; what they are scales of is in
the file's metadata, by tensor.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import ArtifactError, PocketrecError
from pocketrec.outside import parse_json, require_file
from pocketrec.package.bundle import Bundle
from pocketrec.schema import from_table

SCALES = "compression/scales.safetensors"
_METADATA = "pocketrec.scales"


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """What kind of levels a tensor has.

    Attributes:
        bits: of a code.
        granularity: what shares a scale.
        block_size: columns that share a scale.
    """

    bits: int
    granularity: str
    block_size: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Scales:
    """The scales of one tensor.

    Attributes:
        levels: what they are scales of.
        scales: float16 `[rows or 1, blocks]`.
        zero_points: uint8, of the same shape; None where symmetric.
    """

    levels: Levels
    scales: npt.NDArray[Any]
    zero_points: npt.NDArray[Any] | None = None


def write_scales(folder: Path, tensors: Mapping[str, Scales]) -> None:
    """Writes the scales into a staging folder; no file where there are none."""
    from safetensors.numpy import save

    if not tensors:
        return
    arrays, levels = {}, {}
    for name, each in sorted(tensors.items()):
        levels[name] = asdict(each.levels)
        arrays[f"{name}/scales"] = np.ascontiguousarray(each.scales)
        if each.zero_points is not None:
            arrays[f"{name}/zero_points"] = np.ascontiguousarray(each.zero_points)
    (folder / SCALES).parent.mkdir(exist_ok=True)
    (folder / SCALES).write_bytes(save(arrays, {_METADATA: json.dumps(levels, sort_keys=True)}))


def read_scales(bundle: Bundle) -> Mapping[str, Scales]:
    """The scales that a bundle holds, by tensor; none where nothing of it has levels.

    Raises:
        ArtifactError: the file is altered, or holds something else.
    """
    from safetensors import SafetensorError, safe_open

    if SCALES not in bundle.manifest.files:
        return {}
    path = require_file(bundle.checked(SCALES))
    try:
        with safe_open(path, framework="numpy") as file:
            levels = parse_json((file.metadata() or {})[_METADATA], name=SCALES)
            names = set(file.keys())
            return {name: _scales(file, name, names, table) for name, table in levels.items()}
    except (SafetensorError, PocketrecError, KeyError, AttributeError, TypeError, ValueError) as error:
        raise ArtifactError(f"{SCALES}: holds no scales ({error}); build the bundle again") from None


def _scales(file: Any, name: str, names: set[str], table: object) -> Scales:
    scales, zeros = file.get_tensor(f"{name}/scales"), f"{name}/zero_points"
    zero_points = file.get_tensor(zeros) if zeros in names else None
    shapes = {scales.shape, scales.shape if zero_points is None else zero_points.shape}
    if scales.dtype != np.float16 or scales.ndim != 2 or len(shapes) > 1:
        raise ArtifactError(f"{name} has {scales.dtype} {list(scales.shape)}")
    return Scales(levels=from_table(Levels, table, source=name), scales=scales, zero_points=zero_points)
