"""What a target's files hold besides the tensors that a plan can compress."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pocketrec.errors import BudgetMissed
from pocketrec.lowering import lower
from pocketrec.pipeline.examine import Progress
from pocketrec.source.model import Prepared

if TYPE_CHECKING:
    from pocketrec.convert.capture.capture import Capture


def check_room(
    prepared: Prepared,
    captures: Mapping[str, Capture],
    read: Mapping[str, tuple[str, ...]],
    folder: Path,
    report: Progress,
) -> int:
    """Bytes of the largest target's files that no plan makes smaller: the graph, and constants folded in it.

    Found by lowering the model as it is; 0 where no size is asked for, or where tables are streamed, beside
    which they do not count.

    Args:
        prepared: the model.
        captures: of its functions.
        read: tensor name to the functions that read it.
        folder: for the files, which are gone afterwards.
        report: told what is being done.

    Raises:
        BudgetMissed: they alone are more than `compress.max_size_mb`.
    """
    from pocketrec.validate.artifact.sizes import artifact_bytes

    budget = prepared.recipe.compress.max_size_mb
    if budget is None or prepared.streamed is not None:
        return 0
    plain = {name: replace(each, gather_codes=()) for name, each in prepared.recipe.targets.items()}
    bare = replace(prepared, recipe=replace(prepared.recipe, targets=plain))
    with TemporaryDirectory(dir=folder) as place:
        artifacts = lower(bare, captures, {}, Path(place), report)
        left = {}
        for target, each in artifacts.items():
            size = sum(artifact_bytes(path) for path in set(each.values()))
            left[target] = size - _tensor_bytes(prepared, read, target, shared=len(set(each.values())) == 1)
    target = max(left, key=lambda name: left[name])
    if left[target] >= budget * 1e6:
        raise BudgetMissed(
            f"compress.max_size_mb is {budget:g}; {left[target] / 1e6:.4g} MB of {target} are its graph and "
            "constants that are no tensors of the module; keep what is computed from weights in a buffer, or "
            "raise the budget"
        )
    return max(0, left[target])


def _tensor_bytes(
    prepared: Prepared, read: Mapping[str, tuple[str, ...]], target: str, *, shared: bool
) -> int:
    """Bytes of the tensors in a target's files, as they are stored where nothing is compressed."""
    from pocketrec.quantize.reference import compressible

    width = 2 if prepared.recipe.targets[target].precision == "float16" else 4
    tensors = compressible(prepared.lowered)
    copies = {name: 1 if shared else len(by) for name, by in read.items()}
    return sum(width * math.prod(tensors[name].shape) * count for name, count in copies.items())
