"""The one road from a source to proved artifacts.

    Trials ─▶ reference ─▶ [plan ─▶ compress] ─▶ capture ─▶ each target's ways ─▶ examine ─▶ Built

`build` is this road and a bundle, `convert_module` this road and a folder, `diverge` this road as far
as capture.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from pocketrec.errors import ConversionError, Derived, UsageError
from pocketrec.foreign import seldom_collected
from pocketrec.pipeline.attempts import Attempt, Tried
from pocketrec.pipeline.audit import constant_notes, left_out_notes
from pocketrec.pipeline.compression import check_gathered_names
from pocketrec.pipeline.distilling import distil_trials
from pocketrec.pipeline.plans import Planned
from pocketrec.pipeline.refusal import is_the_modules
from pocketrec.pipeline.rounding import round_trials
from pocketrec.pipeline.ways import Delivered, Order, defect, deliver
from pocketrec.progress import Progress, silent
from pocketrec.recipe import Compress, Gates, Target
from pocketrec.report import RoundedInput
from pocketrec.source.model import Trials
from pocketrec.workers import Workers

if TYPE_CHECKING:
    from pocketrec.convert.rewrite import Rewrite
    from pocketrec.quantize import QuantizedTensor
    from pocketrec.source.compressed import Compression
    from pocketrec.validate.evidence import Reference

Planner = Callable[[Tried], Planned]
_SCRATCH = ".attempts"  # in the folder, while targets are tried


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What the road leaves behind.

    Attributes:
        original: the reference of the model as it was.
        delivered: target to its artifacts with what was found out of them; a target whose artifacts were
            written and differ is among them.
        refused: target to the reason why there is no artifact.
        compressed: what compression did; None where none was asked for.
        notes: what must be said.
    """

    original: Reference
    delivered: Mapping[str, Delivered]
    refused: Mapping[str, ConversionError]
    compressed: Compressed | None = None
    notes: tuple[str, ...] = ()

    @property
    def assumptions(self) -> Mapping[str, tuple[str, ...]]:
        """Target to the branches that its graphs take for every input."""
        return {
            name: tuple(
                dict.fromkeys(each for one in delivered.attempt.captures.values() for each in one.assumptions)
            )
            for name, delivered in self.delivered.items()
        }

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is to be said of how artifacts were made, and what their graphs take for granted."""
        said = [f"{name}: {note}" for name, each in self.delivered.items() for note in each.notes]
        assumed = [f"assumed: {text}" for each in self.assumptions.values() for text in each]
        return tuple(dict.fromkeys((*said, *assumed)))

    @property
    def rewrites(self) -> tuple[tuple[str, Rewrite], ...]:
        """What was replaced, once for a function and a place, with the function."""
        found = {
            (function, each.name, each.where): (function, each)
            for delivered in self.delivered.values()
            for function, captured in delivered.attempt.captures.items()
            for each in captured.rewrites
        }
        return tuple(found.values())

    @property
    def reference(self) -> Reference:
        """What the artifacts were compared with."""
        found = next((each.attempt.reference for each in self.delivered.values()), None)
        return self.original if found is None else found


@dataclass(frozen=True, slots=True, kw_only=True)
class Compressed:
    """A plan carried out: the compressed model's trials, and what was done."""

    planned: Planned
    trials: Trials
    compression: Compression
    rounded: tuple[RoundedInput, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Journey:
    """What the road is asked for, besides the source.

    Attributes:
        targets: by name, resolved.
        gates: what an artifact must hold to be the one that is taken.
        folder: gets `artifacts/<target>/`; also for what is only needed on the way.
        compress: how a plan is carried out, besides the plan itself.
        workers: who examines the evaluation data.
        report: told what is being done.
        names: of an artifact's file, without suffix, by function; the function's own by default.
        kept: the folder that remembers how far a distillation came; None keeps nothing.
    """

    targets: Mapping[str, Target]
    gates: Gates
    folder: Path
    compress: Compress = field(default_factory=Compress)
    workers: Workers | None = None
    report: Progress = silent
    names: Mapping[str, str] = field(default_factory=dict)
    kept: Path | None = None


def road(trials: Trials, journey: Journey, planner: Planner | None = None) -> Built:
    """Every target's artifacts, each compared with the model on every probe and all evaluation data.

    Args:
        trials: the source.
        journey: what is wanted.
        planner: decides which tensor is compressed how; None compresses nothing.

    Raises:
        UsageError: the source or the plan does not fit.
        ConversionError: a plan that was stated word for word cannot be carried by any target.
    """
    with seldom_collected():
        return _road(trials, journey, planner)


def _road(trials: Trials, journey: Journey, planner: Planner | None) -> Built:
    tried = Tried(trials, journey.report, journey.workers)
    original = tried.first.reference
    if planner is None:
        found, refused = _delivered(tried, journey, {})
        return Built(original=original, delivered=found, refused=refused)
    planned = planner(tried)
    left_out: list[str] = []
    while True:
        compressed = compressed_trials(trials, planned.without(left_out), journey, number=len(left_out))
        again = Tried(compressed.trials, journey.report, journey.workers)
        found, refused = _delivered(again, journey, compressed.compression.codes)
        names = _folded(refused) - set(left_out)
        if not names:
            break
        if planned.stated:
            if any(each.holds for each in found.values()):
                break  # the other targets carry it
            raise next(each for each in refused.values() if isinstance(each, Derived))
        left_out += sorted(names)
    notes = (*compressed.planned.notes, *left_out_notes(left_out))
    if found:
        captures = next(iter(found.values())).attempt.captures
        notes = (*notes, *constant_notes(compressed.compression.module, captures))
    return Built(original=original, delivered=found, refused=refused, compressed=compressed, notes=notes)


def _folded(refused: Mapping[str, ConversionError]) -> set[str]:
    """The tensors that some target's graph holds only folded into others."""
    return {name for each in refused.values() if isinstance(each, Derived) for name in each.names}


def compressed_trials(trials: Trials, planned: Planned, journey: Journey, *, number: int = 0) -> Compressed:
    """The trials of the model as a plan leaves it, its dense layers' inputs rounded where that is asked for.

    Raises:
        PlanError: a scheme does not fit its tensor.
        TableError: a table on disk holds a number that is not finite.
        StorageError: there is no room for what compressed tables stand for, or for what is kept.
    """
    from pocketrec.source.compressed import compress_trials

    journey.report("compress", 0, 1)
    values = journey.folder / ".values" / f"compressed-{number}"
    values.mkdir(parents=True)
    made, compression = compress_trials(trials, planned.plan, planned.usage, values, made=planned.made)
    if planned.plan.distils:
        asked = planned.asked
        made, compression, said = distil_trials(made, compression, asked, journey.report, journey.kept)
        planned = replace(planned, notes=(*planned.notes, said))
    rounded: tuple[RoundedInput, ...] = ()
    if journey.compress.activations is not None:
        journey.report("calibrate inputs", 0, 1)
        made, compression, rounded = round_trials(made, compression, journey.compress, planned.asked)
    return Compressed(planned=planned, trials=made, compression=compression, rounded=rounded)


def _delivered(
    tried: Tried, journey: Journey, codes: Mapping[str, QuantizedTensor]
) -> tuple[dict[str, Delivered], dict[str, ConversionError]]:
    """Every target by the first trial and way that holds, else by the first that was written at all."""
    check_gathered_names(journey.targets, codes)
    found: dict[str, Delivered] = {}
    refused: dict[str, ConversionError] = {}
    scratch, place = journey.folder / _SCRATCH, journey.folder / "artifacts"
    waiting = list(journey.targets)
    for number, attempt in enumerate(tried):
        _try(attempt, waiting, journey, codes, scratch / str(number), found, refused)
        waiting = [name for name in waiting if name not in found or not _settled(found[name])]
        if not waiting:
            break  # before another attempt is made, which takes a reference of its own
    rmtree(place, ignore_errors=True)
    moved = {name: found[name].moved(place / name) for name in journey.targets if name in found}
    rmtree(scratch, ignore_errors=True)
    return moved, {name: error for name, error in refused.items() if name not in found}


def _settled(made: Delivered) -> bool:
    """Whether no other attempt is needed, or could help: fewer probes would only hide what differs."""
    return made.holds or is_the_modules(made)


def _try(
    attempt: Attempt,
    waiting: Sequence[str],
    journey: Journey,
    codes: Mapping[str, QuantizedTensor],
    scratch: Path,
    found: dict[str, Delivered],
    refused: dict[str, ConversionError],
) -> None:
    """Adds what one attempt gives for the targets that wait."""
    try:
        attempt.capture(journey.report)
    except UsageError:
        raise
    except Exception as error:
        told = error if isinstance(error, ConversionError) else defect(error)
        refused.update({name: refused.get(name, told) for name in waiting})
        return
    for count, name in enumerate(waiting):
        journey.report(f"convert to {name}", count, len(waiting))
        order = Order(
            name=name,
            target=journey.targets[name],
            codes=codes,
            gates=journey.gates,
            folder=scratch / name,
            names=journey.names,
            report=journey.report,
            workers=journey.workers,
        )
        try:
            made = deliver(attempt, order)
        except Derived as error:
            refused[name] = error  # this attempt would do with fewer tensors compressed
        except ConversionError as error:
            refused.setdefault(name, error)
        else:
            before = refused.get(name) or (found[name].failure if name in found else None)
            if name not in found or made.holds:
                found[name] = replace(made, before=None if before is None else str(before))
