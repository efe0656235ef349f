"""Codes tuned on the recipe's own inputs before anything is converted: the rounding that is called distilled.

The compressed reference is then the tuned one, so conversion and compression stay two figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pocketrec.contract import Contract, Signature
from pocketrec.errors import PlanError
from pocketrec.evaluation import EvaluationData, inputs_for
from pocketrec.foreign import torch_threads
from pocketrec.pipeline.calibration import MAX_NUMBERS
from pocketrec.pipeline.courses import CourseFile, course_key
from pocketrec.pipeline.listings import scored
from pocketrec.progress import Progress
from pocketrec.source.model import Trials

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.quantize.distillation import Distilled, Lesson
    from pocketrec.source.compressed import Compression
    from pocketrec.source.streamed import Stubbed

_BATCH, _MOST_ROWS, _MOST_HELD = 64, 1 << 15, 512
_STEPS = 1200
_REMEDY = "use rounding = 'feedback' or 'nearest'"


def distil_trials(
    trials: Trials,
    compression: Compression,
    data: Sequence[EvaluationData],
    report: Progress,
    kept: Path | None = None,
) -> tuple[Trials, Compression, str]:
    """The trials with what the plan has as distilled tuned, what was done, and what is to be said of it.

    Args:
        trials: of the compressed module.
        compression: what was done so far.
        data: whose inputs the outputs are compared on; labels are not looked at.
        report: told of every step.
        kept: the folder that remembers how far it came, so that it goes on from there; None for none.

    Raises:
        PlanError: there are no inputs, tables are on disk, or the module fails or has no gradients.
        StorageError: nothing can be written to the folder.
    """
    from pocketrec.quantize.plan import is_distilled
    from pocketrec.quantize.reference import compressible, to_array, with_values

    core = trials.core
    check_held(core)
    tensors = compressible(compression.original)
    chosen = compression.plan.schemes_for(tensors)
    names = [name for name, scheme in chosen.items() if is_distilled(scheme)]
    large = [name for name in names if tensors[name].numel() > MAX_NUMBERS]
    if large:
        raise PlanError(
            f"{large[0]}: holds {tensors[large[0]].numel():,} numbers, of which 'distilled' trains "
            f"{MAX_NUMBERS:,} at most; {_REMEDY}"
        )
    found = _distilled(trials, compression, names, data, report, kept)
    codes = {**compression.codes, **found.codes}
    module = with_values(compression.original, {name: each.dequantize() for name, each in codes.items()})
    lost = {name: found.codes[name].sqnr_db(to_array(tensors[name])) for name in names}
    made = replace(compression, module=module, codes=codes, sqnr_db={**compression.sqnr_db, **lost})
    return trials.of(replace(core, lowered=module), trials.spans), made, _said(found, len(names))


def check_held(core: Stubbed) -> None:
    """Checks that all tables are in memory, as distillation trains them; else PlanError."""
    if core.tables:
        raise PlanError(
            f"compress: rounding = 'distilled' holds the model, and {core.tables[0].name} is streamed; "
            f"raise model.stream_mb to hold it, or {_REMEDY}"
        )


def _distilled(
    trials: Trials,
    compression: Compression,
    names: Sequence[str],
    data: Sequence[EvaluationData],
    report: Progress,
    kept: Path | None,
) -> Distilled:
    from pocketrec.quantize.distillation import NoGradients, Untaught, distil

    contract = next(iter(trials)).model.contract
    lessons = [
        each
        for signature in contract.functions.values()
        for each in _lessons(compression.original, contract, signature, data)
    ]
    if not lessons:
        raise PlanError(
            "compress: rounding = 'distilled' follows the outputs on the evaluation data's inputs, and there "
            f"are none, or but one row; add compress.data, or {_REMEDY}"
        )
    work = compression.original, compression.codes, names, lessons
    try:
        with torch_threads(1):  # sums do not depend on how many the machine has
            key = course_key(*work, contract=contract, steps=_STEPS) if kept else None
            file = CourseFile(folder=kept, key=key) if kept and key else None
            with file.told() if file else nullcontext():
                return distil(
                    *work,
                    steps=_STEPS,
                    progress=lambda step: report("distil", step, _STEPS),
                    begun=file.read() if file else None,
                    keep=file.write if file else lambda _: None,
                )
    except NoGradients as error:
        raise PlanError(
            f"compress: rounding = 'distilled' needs gradients of the outputs ({error}); {_REMEDY}"
        ) from error
    except Untaught as error:
        raise PlanError(
            "compress: rounding = 'distilled' runs the module on the evaluation data's inputs, and there it "
            f"fails ({error}); {_REMEDY}"
        ) from error


def _lessons(
    module: nn.Module, contract: Contract, signature: Signature, data: Sequence[EvaluationData]
) -> list[Lesson]:
    """The lesson of a function; none where the data have no inputs of it, or it gives whole numbers alone."""
    import torch

    from pocketrec.convert.watch.contract_module import ContractModule
    from pocketrec.quantize.distillation import Lesson

    source = inputs_for(signature, data)
    floats = any(each.dtype == "float32" for each in signature.outputs)
    rows = 0 if source is None else len(source[signature.inputs[0].name])
    low, high = contract.bounds(signature.inputs[0].shape[0])
    if source is None or not floats or rows < 2:
        return []
    order = np.random.default_rng(0).permutation(rows)[:_MOST_ROWS]
    size = max(low, min(_BATCH, high))
    held = min(_MOST_HELD, max(1, len(order) // 8))

    def batches(chosen: np.ndarray[tuple[int], np.dtype[np.int64]]) -> list[tuple[torch.Tensor, ...]]:
        cuts = [chosen[start : start + size] for start in range(0, len(chosen), size)]
        whole = [np.resize(each, max(low, len(each))) for each in cuts]  # a smallest batch is filled up
        return [
            tuple(torch.from_numpy(np.ascontiguousarray(source[one.name][each])) for one in signature.inputs)
            for each in whole
        ]

    return [
        Lesson(
            function=ContractModule(module, contract, signature),
            batches=batches(order[held:]),
            held_out=batches(order[:held]),
            lists=tuple(bool(scored(each, contract)) for each in signature.outputs),
        )
    ]


def _said(found: Distilled, tensors: int) -> str:
    if not found.steps:
        return (
            f"Distilled: no step brought the outputs nearer to the original's ({found.before:.3g}); codes "
            "are those that it began with."
        )
    return (
        f"Distilled {tensors} tensors in {found.steps} steps: the outputs' distance from the original's on "
        f"inputs that were held out fell from {found.before:.3g} to {found.after:.3g}."
    )
