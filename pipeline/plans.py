"""Which tensor is compressed how: as a recipe states it, by a preset, or by a search within a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from pocketrec.errors import UsageError
from pocketrec.evaluation import Asked
from pocketrec.pipeline.attempts import Attempt, Tried
from pocketrec.pipeline.audit import tensors_read
from pocketrec.pipeline.calibration import calibrate, output_moments
from pocketrec.pipeline.carried import tensor_shapes
from pocketrec.pipeline.compression import explicit_plan
from pocketrec.pipeline.distilling import check_held
from pocketrec.pipeline.frozen import Taken
from pocketrec.quantize import Plan
from pocketrec.quantize.presets import PRESETS
from pocketrec.recipe import Compress
from pocketrec.report import PlanPoint
from pocketrec.source.loaded import Loaded, search_data
from pocketrec.workers import Workers

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.convert.capture.capture import Capture
    from pocketrec.pipeline.evaluator import Evaluator
    from pocketrec.pipeline.overhead import Room
    from pocketrec.progress import Progress
    from pocketrec.quantize import QuantizedTensor
    from pocketrec.quantize.usage import Usage, Usages
    from pocketrec.recipe import Target
    from pocketrec.source.model import Trials


_SIZED = 5  # searches until the files are within the budget; all but the first know what was measured
_SEARCHED: Literal["smallest-neutral"] = "smallest-neutral"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A plan and what it rests on.

    Attributes:
        plan: which tensor is compressed how.
        stated: whether it was spelled out, so that nothing may be left out of it.
        usage: what is known of the tensors.
        made: tensors that a search has in the planned form, by name.
        notes: what must be said of that.
        front: of a search.
        asked: what inputs of dense layers are calibrated on, and outputs distilled; nothing for the probes.
    """

    plan: Plan
    stated: bool
    usage: Usages
    made: Mapping[str, QuantizedTensor] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    front: tuple[PlanPoint, ...] = ()
    asked: tuple[Asked, ...] = ()

    def without(self, names: list[str]) -> Planned:
        """The same without these tensors."""
        made = {name: each for name, each in self.made.items() if name not in names}
        return replace(self, plan=self.plan.without(names), made=made) if names else self


def recipe_planner(
    loaded: Loaded,
    targets: Mapping[str, Target],
    out: Path,
    workers: Workers | None,
    report: Progress,
    taken: Taken | None = None,
) -> Callable[[Tried], Planned]:
    """Finds a recipe's plan; what a search measured stays in `<out>.search`.

    `taken` is what the release before leaves to this one.
    """
    before = taken or Taken()

    def plan(tried: Tried) -> Planned:
        compress, module = loaded.recipe.compress, loaded.trials.core.lowered
        if compress.rounding is not None:
            check_held(loaded.trials.core)  # and not after a search
        asked = search_data(loaded) if _needs_data(compress) else ()
        if compress.tensors:
            stated = explicit_plan(compress, module, ())
            usage, notes = _calibrated(loaded, before, gradients=stated.needs_gradients)
            return Planned(plan=stated, stated=True, usage=usage, notes=notes, asked=asked)
        captures = tried.first.capture(report)
        read = {name: by for name, by in tensors_read(module, captures).items() if by}
        report("calibrate", 0, 1)
        usage, notes = _calibrated(loaded, before)
        found = Planned(plan=Plan(), stated=False, usage=usage, notes=notes, asked=asked)
        if not compress.searches:
            return replace(found, plan=explicit_plan(compress, module, read, usage))
        return _searched(loaded, tried.first, found, read, targets, out, workers, report)

    return plan


def _needs_data(compress: Compress) -> bool:
    """Whether inputs are calibrated, plans measured, or codes distilled."""
    distilled = [each.get("rounding") == "distilled" for each in compress.tensors.values()]
    return bool(compress.activations or compress.searches or compress.rounding or any(distilled))


def _calibrated(
    loaded: Loaded, taken: Taken, *, gradients: bool = True
) -> tuple[dict[str, Usage], tuple[str, ...]]:
    """What the evaluation data say of the module's tensors, by their names in the user's module."""
    model = loaded.model
    data = [each.data for each in loaded.asked]
    known = calibrate(model.module, model.contract, data, gradients=gradients)
    names = _own_names(model.module)
    usage = {names.get(name, name): each for name, each in known.usage.items()}
    return taken.known(usage, tensor_shapes(loaded.trials.core.lowered)), known.notes


def _searched(
    loaded: Loaded,
    attempt: Attempt,
    planned: Planned,
    read: Mapping[str, tuple[str, ...]],
    targets: Mapping[str, Target],
    out: Path,
    workers: Workers | None,
    report: Progress,
) -> Planned:
    from pocketrec.pipeline.evaluator import make_evaluator
    from pocketrec.pipeline.measurements import search_folder
    from pocketrec.pipeline.search import streamed_trials

    folder, model = out.with_name(f"{out.name}.search"), loaded.model
    with search_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)
    core = loaded.trials.core
    with streamed_trials(core, model.spans, folder) as trials:
        evaluator = make_evaluator(
            core.lowered,
            model.contract,
            planned.asked,
            planned.usage,
            trials,
            behind=model.behind,
        )
        search = SizedSearch(
            attempt=attempt,
            trials=loaded.trials,
            evaluator=evaluator,
            targets=targets,
            read=read,
            folder=folder,
            workers=workers or Workers(),
            report=report,
        )
        return search.run(loaded.recipe.compress, planned)


@dataclass(frozen=True, slots=True, kw_only=True)
class SizedSearch:
    """Searches for a plan until each target's files that are written with it are within its budget.

    Attributes:
        attempt: of the model as it is, captured.
        trials: of the model as it is.
        evaluator: measures plans.
        targets: by name, resolved.
        read: tensor name to the functions that read it.
        folder: of what a search keeps.
        workers: where plans are measured.
        report: told what is being done.
    """

    attempt: Attempt
    trials: Trials
    evaluator: Evaluator
    targets: Mapping[str, Target]
    read: Mapping[str, tuple[str, ...]]
    folder: Path
    workers: Workers
    report: Progress

    def run(self, compress: Compress, planned: Planned) -> Planned:
        """What was planned, with the plan that was found, its tensors, its front and its notes.

        Raises:
            BudgetMissed: no plan holds the budget.
        """
        from pocketrec.pipeline.overhead import check_room, written_sizes

        stated = {name: compress.size_limit(name) for name in self.targets}
        limits = {name: size * 1e6 for name, size in stated.items() if size is not None}
        core = self.trials.core
        rooms = check_room(self.attempt, core, limits, self.targets, self.read, self.folder, self.report)
        found, stored = self._once(compress, planned, rooms)
        again = replace(compress, time_limit_s=compress.time_limit_s / 4)
        for _ in range(_SIZED - 1):
            if not rooms:
                break
            sizes = written_sizes(self.attempt, self.trials, found, self.targets, self.folder, self.report)
            if all(size <= limits.get(name, math.inf) for name, size in sizes.items()):
                break
            rooms = {
                name: replace(room, besides=max(room.besides, sizes[name] - stored[name]))
                for name, room in rooms.items()
            }
            found, stored = self._once(again, planned, rooms)
        return found

    def _once(
        self, compress: Compress, planned: Planned, rooms: Mapping[str, Room]
    ) -> tuple[Planned, Mapping[str, int]]:
        """What was planned, and target to what its files are taken to hold of the tensors."""
        from pocketrec.pipeline.search import search_plan

        searched = search_plan(
            compress,
            self.evaluator,
            self.targets,
            self.read,
            self.folder,
            workers=self.workers,
            progress=self.report,
            rooms=rooms,
        )
        streamed = {each.name for each in self.trials.core.tables}
        made = {
            name: self.evaluator.quantized(name, scheme)
            for name, scheme in searched.plan.tensors.items()
            if name not in streamed
        }
        notes = (*planned.notes, *searched.notes)
        found = replace(planned, plan=searched.plan, made=made, front=searched.front, notes=notes)
        return found, dict(zip(rooms, searched.limited, strict=False))


def example_planner(asked: str | Plan | Compress) -> Callable[[Tried], Planned]:
    """Plans by what gradients on the probes say: a preset for what the module reads, or a plan as it stands.

    Raises:
        UsageError: the module is TorchScript, the preset has another name, or a search is asked for.
    """

    def plan(tried: Tried) -> Planned:
        import torch

        if isinstance(tried.trials.core.lowered, torch.jit.ScriptModule):
            raise UsageError(
                "compress: TorchScript hides where its weights are read; pass the nn.Module, or drop compress"
            )
        if isinstance(asked, Plan):
            usage, notes = _usage(tried)
            return Planned(plan=asked, stated=True, usage=usage, notes=notes)
        compress = _compress(asked)
        usage, notes = _usage(tried)
        module = tried.trials.core.lowered
        read = _read(tried)
        found = Plan() if read is None else explicit_plan(compress, module, read, usage)
        return Planned(plan=found, stated=bool(compress.tensors), usage=usage, notes=notes)

    return plan


def _compress(asked: str | Compress) -> Compress:
    if isinstance(asked, Compress):
        if asked.scales_from is not None:
            raise UsageError(
                "compress.scales_from: an example follows no release; write a recipe, and use pocketrec build"
            )
        if asked.searches:
            raise UsageError(
                "compress: a search measures plans on evaluation data, which an example has none of; state "
                "a plan or a preset, or write a recipe with [model] example and [evaluate]"
            )
        return asked
    if asked == _SEARCHED:
        return _compress(Compress(preset=_SEARCHED))
    if asked not in PRESETS:
        raise UsageError(f"compress {asked!r}: expected {', '.join(PRESETS)}, or a plan")
    return Compress(preset="int8" if asked == "int8" else "int4")


def _read(tried: Tried) -> list[str] | None:
    """Names of the tensors that the first graph reads; None where none can be captured."""
    captures = next((found for found in map(_captures, tried) if found is not None), None)
    if captures is None:
        return None
    return [name for name, by in tensors_read(tried.trials.core.lowered, captures).items() if by]


def _captures(attempt: Attempt) -> Mapping[str, Capture] | None:
    try:
        return attempt.capture()
    except Exception:
        return None  # whatever it is, converting says so


def _usage(tried: Tried) -> tuple[dict[str, Usage], tuple[str, ...]]:
    """What gradients on the probes say of the module's tensors, by their names in the user's module."""
    from pocketrec.quantize.usage import Usage

    attempt: Attempt = tried.first
    contract = attempt.trial.model.contract
    batches = {
        name: [
            [np.array(each.inputs[one.name]) for one in contract.functions[name].inputs] for each in probes
        ]
        for name, probes in attempt.reference.probes.items()
    }
    moments, notes = output_moments(attempt.trial.model.module, contract, batches)
    names = _own_names(attempt.trial.model.module)
    return {names.get(name, name): Usage(moment=moment) for name, moment in moments.items()}, notes


def _own_names(module: nn.Module) -> dict[str, str]:
    """Names in a module that was wrapped to those in the user's own."""
    from pocketrec.convert.example.flatten import FlatModule

    if not isinstance(module, FlatModule):
        return {}
    everything = (*module.named_parameters(), *module.named_buffers())
    return {name: name.removeprefix("module.") for name, _ in everything}
