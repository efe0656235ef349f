"""What a target's files hold besides the tensors that a plan can compress."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pocketrec.errors import BudgetMissed
from pocketrec.pipeline.attempts import Attempt
from pocketrec.pipeline.ways import Order, written_first
from pocketrec.progress import Progress
from pocketrec.recipe import Gates, Target

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.source.streamed import Stubbed


def check_room(
    attempt: Attempt,
    core: Stubbed,
    max_size_mb: float | None,
    targets: Mapping[str, Target],
    read: Mapping[str, tuple[str, ...]],
    folder: Path,
    report: Progress,
) -> int:
    """Bytes of the largest target's files that no plan makes smaller: the graph, and constants folded in it.

    Found by lowering the model as it is; 0 where no size is asked for, or where tables are on disk, beside
    which they do not count.

    Args:
        attempt: of the model as it is, captured.
        core: the model's module under the user's names.
        max_size_mb: the budget.
        targets: by name, resolved.
        read: tensor name to the functions that read it.
        folder: for the files, which are gone afterwards.
        report: told what is being done.

    Raises:
        BudgetMissed: they alone are more than the budget.
    """
    from pocketrec.validate.artifact.sizes import artifact_bytes

    if max_size_mb is None or core.tables:
        return 0
    left = {}
    with TemporaryDirectory(dir=folder) as place:
        for count, (name, target) in enumerate(targets.items()):
            report(f"weigh {name}", count, len(targets))
            plain = replace(target, gather_codes=())
            order = Order(name=name, target=plain, codes={}, gates=Gates(), folder=Path(place) / name)
            paths = set(written_first(attempt, order).values())
            size = sum(artifact_bytes(path) for path in paths)
            left[name] = size - _tensor_bytes(core.lowered, read, target, shared=len(paths) == 1)
    largest = max(left, key=lambda name: left[name])
    if left[largest] >= max_size_mb * 1e6:
        raise BudgetMissed(
            f"compress.max_size_mb is {max_size_mb:g}; {left[largest] / 1e6:.4g} MB of {largest} are its "
            "graph and constants that are no tensors of the module; keep what is computed from weights in a "
            "buffer, or raise the budget"
        )
    return max(0, left[largest])


def _tensor_bytes(
    module: nn.Module, read: Mapping[str, tuple[str, ...]], target: Target, *, shared: bool
) -> int:
    """Bytes of the tensors in a target's files, as they are stored where nothing is compressed."""
    from pocketrec.quantize.reference import compressible

    width = 2 if target.precision == "float16" else 4
    tensors = compressible(module)
    copies = {name: 1 if shared else len(by) for name, by in read.items()}
    return sum(width * math.prod(tensors[name].shape) * count for name, count in copies.items())
