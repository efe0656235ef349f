"""The planner within the pipeline: real evaluation data, a cache on disk, workers, a time limit.

    recipe.compress ─▶ candidates per tensor ─▶ quantize.planner ─▶ plan.toml, pareto.json

Measurements and candidates are kept by the content of weights, data and recipe, so a search that was cut
short goes on where it stopped, and a second one of the same model is answered from the files.
"""

from __future__ import annotations

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pocketrec import __version__
from pocketrec.convert.targets import carries, lacks_forms
from pocketrec.errors import BudgetMissed, PlanError
from pocketrec.kept import arrays_sha256, key_of
from pocketrec.pipeline.compression import limits
from pocketrec.pipeline.evaluator import Arrays, Evaluator, Run
from pocketrec.pipeline.identity import module_sha256
from pocketrec.pipeline.measurements import (
    EntryFile,
    MeasurementFile,
    Weighed,
    candidate_file,
    search_folder,
)
from pocketrec.progress import Progress
from pocketrec.recipe import Compress, Limit, Target
from pocketrec.report import PlanPoint
from pocketrec.workers import Workers

if TYPE_CHECKING:
    from pocketrec.pipeline.overhead import Room
    from pocketrec.quantize import Plan, QuantizedTensor
    from pocketrec.quantize.candidates import Candidate, Remember, Weigh
    from pocketrec.quantize.planner import Budget, Measured, Outcome, Point
    from pocketrec.quantize.schemes import Scheme
    from pocketrec.source.checkpoint import Span
    from pocketrec.source.streamed import Stubbed
    from pocketrec.source.tables import Table
    from pocketrec.source.trials import StreamedTrials

_WIDTH = 1.96  # standard errors on either side of which a loss lies at 95 %
_FEW_ROWS = 2048  # on which a plan's distortion is known to a hundredth of itself and less


@dataclass(frozen=True, slots=True, kw_only=True)
class Searched:
    """What a search came to.

    Attributes:
        plan: the best that holds the budget.
        front: plans that no other measured plan beats, and `plan`.
        notes: what must be said of it.
        limited: bytes of `plan` that have limits of their own, those of each target's files first.
    """

    plan: Plan
    front: tuple[PlanPoint, ...]
    notes: tuple[str, ...]
    limited: tuple[int, ...] = ()


def search_plan(
    compress: Compress,
    evaluator: Evaluator,
    targets: Mapping[str, Target],
    read: Mapping[str, tuple[str, ...]],
    folder: Path,
    *,
    workers: Workers,
    progress: Progress,
    rooms: Mapping[str, Room] | None = None,
) -> Searched:
    """The plan that holds the recipe's budget, and the front; `folder` keeps both, and every measurement.

    Args:
        compress: the budget and the time limit.
        evaluator: of the model.
        targets: all of which must be able to carry every scheme of the plan.
        read: tensor name to the functions that read it. A table that only functions without a
            measurement read is stored in 8 bits per row.
        folder: made where it is not there; gets plan.toml, pareto.json, measurements.jsonl and
            candidates.jsonl.
        workers: where plans are measured.
        progress: told what is being done, how far, and how far there is.
        rooms: target to how its files grow with what is in them, where their size counts and not that of
            codes alone.

    Raises:
        PlanError: no function reads a tensor that can be compressed.
        BudgetMissed: no measured plan holds the budget; the nearest is in plan.toml.
        StorageError: `folder` cannot be written to, or what is in it be read.
    """
    from pocketrec.quantize.planner import Search
    from pocketrec.quantize.reference import compressible, to_array

    started, rooms = time.monotonic(), rooms or {}
    with search_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)
    originals = evaluator.before()
    metrics = {each.key(name) for each in originals for name in each.quality.metrics}
    store = MeasurementFile(folder / "measurements.jsonl", metrics)
    held = {name for name in read if not rooms or any(room.places[name] for room in rooms.values())}
    values = {name: to_array(each) for name, each in compressible(evaluator.module).items() if name in held}
    if not values:
        raise PlanError(
            "compress: no function reads a float table or matrix of the module as it is, so nothing would be "
            "compressed; leave compress out, or keep what is read in a buffer"
        )
    blind = [name for name in values if not evaluator.functions & set(read[name])]
    options = {}
    kept, tensors = candidate_file(folder / "candidates.jsonl"), _tensor_keys(evaluator, values)
    carriers = {key: asdict(each) for key, each in targets.items()}
    for done, (name, each) in enumerate(values.items()):
        progress("candidates", done, len(values))
        weighed = [[asdict(room.target), room.places[name]] for room in rooms.values()]
        facts = key_of(
            version=__version__, name=name, tensor=tensors[name], targets=carriers, weighed=weighed
        )
        found = _candidates(name, each, evaluator, targets, rooms, partial(_remembered, kept, facts))
        options[name] = _safe(found) if name in blind else found
    copies = {name: sum(len(each.places[name]) for each in rooms.values()) if rooms else 1 for name in values}
    total = sum(each.nbytes * copies[name] for name, each in values.items())
    plain = sum(each.nbytes for each in values.values())
    budget = _budget(compress, plain, targets, rooms, originals)
    few = evaluator.sampled(_FEW_ROWS)
    outcome = Search(
        options,
        _measuring(evaluator, tensors, store, workers),
        budget,
        sense_all=None if few is None else _measuring(few, tensors, store, workers),
        time_left=lambda: 1 - (time.monotonic() - started) / compress.time_limit_s,
        progress=progress,
    ).run()
    if compress.rounding is not None:
        outcome = _tuned(outcome)
    points = tuple(_plan_point(each, outcome, total) for each in outcome.front)
    with search_folder(folder):
        (folder / "plan.toml").write_text(outcome.nearest.plan.to_toml(), encoding="utf-8")
        (folder / "pareto.json").write_text(_pareto(outcome, points), encoding="utf-8")
    if outcome.best is None:
        raise BudgetMissed(_missed(compress, outcome, total, rooms, folder))
    return Searched(
        plan=outcome.best.plan,
        front=points,
        notes=(*_left_out(targets), *_remarks(compress, outcome, total, budget, folder)),
        limited=outcome.best.limited,
    )


@contextmanager
def streamed_trials(
    core: Stubbed, spans: Mapping[str, Span], folder: Path
) -> Iterator[StreamedTrials | None]:
    """How plans of a model with streamed tables are run; None where all are held.

    Args:
        core: the original.
        spans: where its tables' values lie.
        folder: in which what compressed tables stand for has a folder of its own as long as this is open, as
            another search may run there; those of searches that were killed go.
    """
    if not core.tables:
        yield None
        return
    from pocketrec.package.publish import workspace
    from pocketrec.source.trials import StreamedTrials

    spans = {name: replace(each, path=each.path.resolve()) for name, each in spans.items()}
    with workspace(folder / "values") as values:
        yield StreamedTrials(streamed=core, spans=spans, folder=values.resolve())


def _candidates(
    name: str,
    values: npt.NDArray[np.float32],
    evaluator: Evaluator,
    targets: Mapping[str, Target],
    rooms: Mapping[str, Room],
    remember: Remember,
) -> Sequence[Candidate]:
    from pocketrec.quantize.candidates import Bytes, candidates, codes_alone
    from pocketrec.quantize.usage import UNKNOWN
    from pocketrec.source.trials import table_candidates

    usage, table = evaluator.usage.get(name, UNKNOWN), _tables(evaluator).get(name)

    def bytes_of(tensor: QuantizedTensor) -> Bytes | None:
        if not all(carries(tensor, each) for each in targets.values()):
            return None
        if not rooms:
            return codes_alone(tensor)
        looked_up = usage.popularity is not None
        held = [room.bytes_of(tensor, looked_up=looked_up) for room in rooms.values()]
        return Bytes(size_bytes=sum(held), limited=(*held, tensor.size_bytes))

    if table is not None:
        return table_candidates(table, usage=usage, bytes_of=bytes_of, remember=remember)
    plain = [room.plain_bytes(name, values.shape) for room in rooms.values()]
    return candidates(
        name,
        values,
        usage=usage,
        bytes_of=bytes_of,
        plain_bytes=Bytes(size_bytes=sum(plain), limited=(*plain, values.nbytes)) if rooms else None,
        remember=remember,
        quantize=partial(evaluator.quantized, name),
    )


def _remembered(kept: EntryFile[Weighed], facts: str, scheme: Scheme, weigh: Weigh) -> Candidate | None:
    """A scheme's candidate, from the file where it is known of a tensor of these facts; else weighed now."""
    from pocketrec.quantize.candidates import Candidate
    from pocketrec.quantize.schemes import scheme_to_table

    key = key_of(tensor=facts, scheme=scheme_to_table(scheme))
    known = kept.get(key)
    if known is None:
        found = weigh(scheme)
        known = Weighed(key=key, size_bytes=None, noise=0.0, limited=())
        if found is not None:
            known = Weighed(key=key, size_bytes=found.size_bytes, noise=found.noise, limited=found.limited)
        kept.put(known)
    if known.size_bytes is None:
        return None
    return Candidate(
        scheme=scheme, size_bytes=known.size_bytes, noise=known.noise, limited=tuple(known.limited)
    )


def _tables(evaluator: Evaluator) -> Mapping[str, Table]:
    """The model's streamed tables by name."""
    trials = evaluator.trials
    return {} if trials is None else {each.name: each for each in trials.streamed.tables}


def _safe(found: Sequence[Candidate]) -> Sequence[Candidate]:
    """The 8-bit candidate alone, or the uncompressed where there is none."""
    from pocketrec.quantize.schemes.linear import Linear

    plain = [each for each in found if isinstance(each.scheme, Linear) and each.scheme.bits == 8]
    return plain or found[:1]


def offered(front: Sequence[PlanPoint], folder: Path) -> tuple[str, ...]:
    """What to say where the chosen plan fails on the evaluation data: the next larger one is in `folder`."""
    from pocketrec.quantize import plan_from_table

    chosen = next((each for each in front if each.chosen), None)
    larger = [each for each in front if chosen is not None and each.size_bytes > chosen.size_bytes]
    if not larger:
        return ("No larger plan was measured: give the search more time, or widen compress.max_ndcg_drop.",)
    safer = min(larger, key=lambda each: each.size_bytes)
    with search_folder(folder):
        text = plan_from_table(safer.tensors, source="pareto.json").to_toml()
        (folder / "safer.toml").write_text(text, encoding="utf-8")
    return (
        f"The plan that held the loss where it was searched does not hold it here; {folder / 'safer.toml'} "
        f"is the next larger one ({safer.ratio:.1%} of float32): put it in the recipe.",
    )


def _max_losses(compress: Compress, originals: Sequence[Run]) -> dict[str, float]:
    """The largest loss of every metric of every evaluation, each within its own limit."""
    found: dict[str, float] = {}
    for each in originals:
        for name, limit in limits(compress.of(each.name), each.quality.metrics).items():
            found.setdefault(each.key(name), limit)  # the recipe's own evaluation stands first
    return found


def _budget(
    compress: Compress,
    plain: int,
    targets: Iterable[str],
    rooms: Mapping[str, Room],
    originals: Sequence[Run],
) -> Budget:
    """What a plan must hold; `plain` are the bytes of all tensors in float32, once."""
    from pocketrec.quantize.planner import Budget

    losses = _max_losses(compress, originals)
    ratio = math.inf if compress.max_ratio is None else int(compress.max_ratio * plain)
    if not rooms:
        least = min((ratio, *(_size_limit(compress, each) for each in targets)))
        return Budget(max_bytes=int(least) if math.isfinite(least) else None, max_losses=losses)
    limits = [_size_limit(compress, name) - room.besides for name, room in rooms.items()]
    return Budget(max_limited=(*limits, ratio), max_losses=losses)


def _size_limit(compress: Compress, target: str) -> float:
    """Bytes that a target's files may have; infinite where nothing is said of them."""
    stated = compress.size_limit(target)
    return math.inf if stated is None else stated * 1e6


def _tensor_keys(evaluator: Evaluator, values: Arrays) -> dict[str, str]:
    """Digests of every tensor's numbers, and of what is known of how it is used."""
    from pocketrec.quantize.usage import UNKNOWN
    from pocketrec.source.trials import table_digest

    numbers = {name: table_digest(each) for name, each in _tables(evaluator).items()}
    numbers |= {name: arrays_sha256({"": each}) for name, each in values.items() if name not in numbers}
    return {
        name: key_of(numbers=each, usage=evaluator.usage.get(name, UNKNOWN).sha256())
        for name, each in numbers.items()
    }


def _fingerprint(evaluator: Evaluator, tensors: Mapping[str, str]) -> str:
    """Digest of everything besides the plan that a measurement depends on."""
    data = {id(each.data): each.data for each in evaluator.evaluations}.values()
    return key_of(
        version=__version__,
        code=_code(evaluator),
        tensors=dict(tensors),
        contract=evaluator.contract.sha256(),
        data=[each.sha256() for each in data],
        evaluations=[asdict(each.evaluate) for each in evaluator.evaluations],
    )


def _code(evaluator: Evaluator) -> str:
    """What the module computes with its tensors; of one whose code is no file, the text of its graph."""
    module = evaluator.module
    return module_sha256(module) or f"{module} {getattr(module, 'code', '')}"


def _measuring(
    evaluator: Evaluator, tensors: Mapping[str, str], store: MeasurementFile, workers: Workers
) -> Callable[[Sequence[Mapping[str, Scheme]]], Iterator[Measured]]:
    """Measures plans with an evaluator, each once."""
    fingerprint = _fingerprint(evaluator, tensors)
    return lambda plans: _measure(plans, evaluator, store, fingerprint, workers)


def _measure(
    plans: Sequence[Mapping[str, Scheme]],
    evaluator: Evaluator,
    store: MeasurementFile,
    fingerprint: str,
    workers: Workers,
) -> Iterator[Measured]:
    """The measurements of the plans in order, from the file where they are known."""
    keys = [_key(fingerprint, each) for each in plans]
    waiting = [plan for key, plan in zip(keys, plans, strict=True) if store.get(key) is None]
    fresh = workers.map(evaluator, waiting)
    for key in keys:
        known = store.get(key)
        if known is None:
            known = next(fresh)
            store.put(key, known)
        yield known


def _key(fingerprint: str, schemes: Mapping[str, Scheme]) -> str:
    from pocketrec.quantize.schemes import scheme_to_table

    plan = {name: scheme_to_table(each) for name, each in schemes.items()}
    return hashlib.sha256((fingerprint + json.dumps(plan, sort_keys=True)).encode()).hexdigest()


def _tuned(outcome: Outcome) -> Outcome:
    """The outcome with the plans that are built of it, whose codes are tuned after they were found."""
    found = (outcome.nearest, *outcome.front, *([outcome.best] if outcome.best else []))
    made = {id(each): replace(each, plan=each.plan.distilled) for each in found}
    return replace(
        outcome,
        best=made[id(outcome.best)] if outcome.best else None,
        nearest=made[id(outcome.nearest)],
        front=tuple(made[id(each)] for each in outcome.front),
    )


def _plan_point(point: Point, outcome: Outcome, total: int) -> PlanPoint:
    return PlanPoint(
        size_bytes=point.size_bytes,
        ratio=point.size_bytes / total,
        distortion=point.measured.distortion,
        losses=point.measured.losses,
        chosen=point is outcome.best,
        tensors=point.plan.to_table(),
        intervals={
            name: (point.measured.losses[name] - _WIDTH * error, point.measured.losses[name] + _WIDTH * error)
            for name, error in point.measured.errors.items()
        },
    )


def _pareto(outcome: Outcome, points: Sequence[PlanPoint]) -> str:
    table = {
        "schema": 1,
        "measured": outcome.measured,
        "complete": outcome.complete,
        "front": [asdict(each) for each in points],
    }
    return json.dumps(table, indent=1, sort_keys=True) + "\n"


def _left_out(targets: Mapping[str, Target]) -> Iterator[str]:
    """Targets for whose sake forms were not tried."""
    for name, target in targets.items():
        if lacks_forms(target):
            yield (
                f"compress: {name} is for {target.minimum_deployment_target}, which has no product codes, "
                "4-bit rows or tables in parts, so no target was searched for with them; "
                f'targets.{name}.minimum_deployment_target = "iOS18" has them.'
            )


def _remarks(compress: Compress, outcome: Outcome, total: int, budget: Budget, folder: Path) -> Iterator[str]:
    """What is to be known of a plan that holds the budget and is not what was hoped for."""
    if not outcome.complete:
        yield (
            f"compress: time_limit_s = {compress.time_limit_s:g} ended the search after {outcome.measured} "
            f"plans; what was measured is kept in {folder.name}, and the same build with more time goes on "
            "from there."
        )
    smaller = [each for each in outcome.front if each.plan.tensors]
    if compress.max_size_mb is not None and not budget.sized and not budget.max_losses:
        yield "compress: nothing is compressed, as max_size_mb has no limit for any target that is built."
    if budget.sized and not budget.max_losses and outcome.best is not None and outcome.best.plan.tensors:
        yield (
            f"compress: no loss is limited, so nothing gates what the size costs, {_losses(outcome.best)}; "
            "state max_ndcg_drop or max_auc_drop to limit it."
        )
    if budget.max_losses and outcome.best is not None and not outcome.best.plan.tensors and smaller:
        nearest = max(smaller, key=lambda each: each.size_bytes)
        yield (
            "compress: nothing is compressed, as no plan that was measured keeps the loss within its limit; "
            f"the least change has {nearest.size_bytes / total:.1%} of float32 at {_losses(nearest)}, and "
            f"{folder.name}/pareto.json has the others."
        )


def _losses(point: Point) -> str:
    return ", ".join(f"{name} loss {value:+.5f}" for name, value in sorted(point.measured.losses.items()))


def _missed(compress: Compress, outcome: Outcome, total: int, rooms: Mapping[str, Room], folder: Path) -> str:
    nearest = outcome.nearest
    asked: dict[str, Limit | None] = {
        "max_size_mb": compress.max_size_mb,
        "max_ratio": compress.max_ratio,
        "max_ndcg_drop": compress.max_ndcg_drop,
        "max_auc_drop": compress.max_auc_drop,
    }
    stated = ", ".join(f"{name} = {_written(value)}" for name, value in asked.items() if value is not None)
    held = dict(zip(rooms, nearest.limited, strict=False))
    beyond = {name: held[name] + rooms[name].besides - _size_limit(compress, name) for name in held}
    most = max(beyond, key=lambda name: beyond[name], default="")
    size = f"{held.get(most, nearest.size_bytes) / 1e6:.4f} MB ({nearest.size_bytes / total:.1%} of float32)"
    if most and rooms[most].besides:
        whole = (held[most] + rooms[most].besides) / 1e6
        size += f", {whole:.4f} MB in files of {most} with their graph"
    if not outcome.complete:
        return (
            f"compress: time_limit_s = {compress.time_limit_s:g} ended the search before a plan that holds "
            f"{stated or compress.preset} was found; give it more time, what was measured is kept in {folder}"
        )
    return (
        f"compress: no plan holds {stated or compress.preset}; the nearest has {size}, and costs "
        f"{_losses(nearest)}; it is in {folder / 'plan.toml'}: widen the budget to it, or replay it as "
        "compress.tensors"
    )


def _written(limit: Limit) -> str:
    """A limit as a recipe states it."""
    if isinstance(limit, Mapping):
        return f"{{ {', '.join(f'{target} = {each:g}' for target, each in limit.items())} }}"
    return f"{limit:g}"
