"""Codes tuned on the recipe's own inputs before anything is converted: the rounding that is called distilled.

The compressed reference is then the tuned one, so conversion and compression stay two figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from pocketrec.errors import PlanError
from pocketrec.evaluation import Asked
from pocketrec.foreign import torch_threads
from pocketrec.pipeline.calibration import MAX_NUMBERS
from pocketrec.pipeline.courses import CourseFile, course_key
from pocketrec.progress import Progress
from pocketrec.source.model import Trials

if TYPE_CHECKING:
    from pocketrec.quantize.distillation import Distilled
    from pocketrec.source.compressed import Compression
    from pocketrec.source.streamed import Stubbed

_STEPS = 1200
_REMEDY = "use rounding = 'feedback' or 'nearest'"


def distil_trials(
    trials: Trials,
    compression: Compression,
    asked: Sequence[Asked],
    report: Progress,
    kept: Path | None = None,
) -> tuple[Trials, Compression, str]:
    """The trials with what the plan has as distilled tuned, what was done, and what is to be said of it.

    Args:
        trials: of the compressed module.
        compression: what was done so far.
        asked: evaluations, on whose inputs outputs are compared; labels are not looked at.
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
    found = _distilled(trials, compression, names, asked, report, kept)
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
    asked: Sequence[Asked],
    report: Progress,
    kept: Path | None,
) -> Distilled:
    from pocketrec.pipeline.lessons import lessons_of
    from pocketrec.quantize.distillation import NoGradients, Untaught, distil

    contract = next(iter(trials)).model.contract
    lessons = lessons_of(compression.original, contract, asked)
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
