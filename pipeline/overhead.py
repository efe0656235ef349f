"""What a target's files hold besides the tensors that a plan can compress, and how large they are with it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from pocketrec.errors import BudgetMissed, ConversionError
from pocketrec.pipeline.attempts import Attempt
from pocketrec.pipeline.ways import Order, written_first
from pocketrec.progress import Progress
from pocketrec.recipe import Gates, Target

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.pipeline.plans import Planned
    from pocketrec.quantize import QuantizedTensor
    from pocketrec.source.model import Trials
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
    if max_size_mb is None or core.tables:
        return 0
    plain = {name: replace(each, gather_codes=()) for name, each in targets.items()}
    left = {
        name: size - _tensor_bytes(core.lowered, read, targets[name], shared=files == 1)
        for name, (size, files) in _weighed(attempt, plain, {}, folder, report).items()
    }
    largest = max(left, key=lambda name: left[name])
    if left[largest] >= max_size_mb * 1e6:
        raise BudgetMissed(
            f"compress.max_size_mb is {max_size_mb:g}; {left[largest] / 1e6:.4g} MB of {largest} are its "
            "graph and constants that are no tensors of the module; keep what is computed from weights in a "
            "buffer, or raise the budget"
        )
    return max(0, left[largest])


def written_size(
    attempt: Attempt,
    trials: Trials,
    planned: Planned,
    max_size_mb: float | None,
    targets: Mapping[str, Target],
    folder: Path,
    report: Progress,
) -> int:
    """Bytes of the largest target's files with a plan; 0 where no size is asked for, or nothing is written.

    What unpacks codes is part of a graph, and of a small model no small one; it is known once it is written.

    Args:
        attempt: of the model as it is, captured.
        trials: of the model as it is.
        planned: which tensor is compressed how.
        max_size_mb: the budget; without one, or with tables on disk, nothing is written.
        targets: by name, resolved.
        folder: for the files, which are gone afterwards.
        report: told what is being done.
    """
    from pocketrec.source.compressed import compress_trials

    if max_size_mb is None or trials.core.tables:
        return 0
    with TemporaryDirectory(dir=folder) as values:
        made, compression = compress_trials(
            trials, planned.plan, planned.usage, Path(values), made=planned.made
        )
    compressed = Attempt(trial=next(iter(made)), reference=attempt.reference)
    try:
        compressed.capture()
        weighed = _weighed(compressed, targets, compression.codes, folder, report)
    except ConversionError:
        return 0  # what no target carries is left out of the plan, or told, where it is converted
    return max(size for size, _ in weighed.values())


def _weighed(
    attempt: Attempt,
    targets: Mapping[str, Target],
    codes: Mapping[str, QuantizedTensor],
    folder: Path,
    report: Progress,
) -> dict[str, tuple[int, int]]:
    """Bytes and number of each target's files."""
    from pocketrec.validate.artifact.sizes import artifact_bytes

    found = {}
    with TemporaryDirectory(dir=folder) as place:
        for count, (name, target) in enumerate(targets.items()):
            report(f"weigh {name}", count, len(targets))
            order = Order(name=name, target=target, codes=codes, gates=Gates(), folder=Path(place) / name)
            paths = set(written_first(attempt, order).values())
            found[name] = sum(map(artifact_bytes, paths)), len(paths)
    return found


def _tensor_bytes(
    module: nn.Module, read: Mapping[str, tuple[str, ...]], target: Target, *, shared: bool
) -> int:
    """Bytes of the tensors in a target's files, as they are stored where nothing is compressed."""
    from pocketrec.quantize.reference import compressible

    width = 2 if target.precision == "float16" else 4
    tensors = compressible(module)
    copies = {name: 1 if shared else len(by) for name, by in read.items()}
    return sum(width * math.prod(tensors[name].shape) * count for name, count in copies.items())
