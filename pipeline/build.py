"""The whole road as one function: recipe in, proven bundle out.

    source ─▶ compress ─▶ capture, rewrite ─▶ lower per target ─▶ examine per runtime ─▶ gates ─▶ bundle

The only module, besides the command line, that knows all the stages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from pocketrec.errors import Derived, RecipeError
from pocketrec.foreign import generators_kept
from pocketrec.lowering import capture_functions, lower
from pocketrec.pipeline.calibration import Calibration, calibrate
from pocketrec.pipeline.carried import check_carried, tensor_shapes
from pocketrec.pipeline.compression import (
    Compression,
    compress_prepared,
    constant_notes,
    explicit_plan,
    left_out_notes,
    tensors_read,
)
from pocketrec.pipeline.contents import write_contents
from pocketrec.pipeline.examine import (
    Progress,
    examine,
    examine_module,
    silent,
    with_compression,
)
from pocketrec.pipeline.rounding import round_prepared
from pocketrec.pipeline.world import check_model
from pocketrec.places import exits_told
from pocketrec.recipe import Recipe, load_recipe
from pocketrec.report import COMPRESSED, Evidence, PlanPoint, RoundedInput
from pocketrec.source.model import Prepared, prepare, search_data
from pocketrec.workers import Workers

if TYPE_CHECKING:
    from pocketrec.convert.capture.capture import Capture
    from pocketrec.quantize import Plan, QuantizedTensor
    from pocketrec.validate.evidence import Reference


_VALUES = ".values"  # what streamed tables stand for, in the staging folder and beside a search


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """What a build leaves behind.

    Attributes:
        path: the bundle.
        evidence: everything that was found out.
        passed: True where every gate that ran passed.
        tree_sha256: digest of the bundle without its evidence; equal for equal builds.
        report: the HTML report inside the bundle.
    """

    path: Path
    evidence: Evidence
    passed: bool
    tree_sha256: str
    report: Path


@exits_told()
@generators_kept()
def build(
    recipe: str | Path | Recipe,
    *,
    out: Path | None = None,
    targets: Sequence[str] = (),
    progress: Progress | None = None,
    workers: Workers | None = None,
) -> BuildResult:
    """The bundle of a recipe, built, examined and published.

    A build whose gates fail goes to `<out>.failed`, with its evidence; a good bundle at `out` is
    never replaced by a bad one.

    Args:
        recipe: the path of a recipe.toml, or a recipe that was read (its paths are then relative
            to the working directory).
        out: the bundle's folder; by default `build/<name>`.
        targets: names of the recipe's targets; all of them by default.
        progress: called with what is being done, how many steps are done, and of how many.
        workers: who searches for a plan and examines the evaluation data; this process by default.

    Raises:
        BudgetMissed: no compression plan holds the recipe's budget; the nearest is in `<out>.search`.
        RecipeError: the recipe, or what it names, does not fit.
        ConversionError: a function cannot be captured or lowered.
    """
    from pocketrec.package.bundle import publish, seal, staging

    base = Path.cwd() if isinstance(recipe, Recipe) else Path(recipe).parent
    chosen = _choose(recipe if isinstance(recipe, Recipe) else load_recipe(recipe), targets)
    named = "recipe" if isinstance(recipe, Recipe) else str(recipe)
    check_carried(chosen.compress, chosen.targets, named)
    out = Path("build") / chosen.name if out is None else Path(out)
    report = progress or silent
    failed = out.parent / f"{out.name}.failed"
    with staging(out, failed) as folder:
        report("load", 0, 1)
        values = folder / _VALUES
        values.mkdir()
        prepared = prepare(chosen, base, values)
        check_carried(chosen.compress, chosen.targets, named, tensor_shapes(prepared.lowered))
        original = examine_module(prepared, report, workers)
        said = check_model(prepared.module, original)
        prepared = replace(prepared, notes=(*prepared.notes, *said))
        if chosen.compress.active:
            planned = _plan(prepared, original, out, base, workers, report)
            made: _Made = _make_compressed(prepared, planned, folder, base, report, workers)
        else:
            made = _make(prepared, original, {}, folder, report)
        reference, artifacts = made.reference, made.artifacts
        evidence = examine(made.prepared, reference, made.captures, artifacts, folder, report, workers)
        if isinstance(made, _MadeCompressed):
            evidence = with_compression(
                evidence, made.compression, original, reference, made.captures, chosen.compress
            )
            notes = (*evidence.notes, *made.notes, *_offered(evidence, planned, out))
            evidence = replace(evidence, front=planned.front, activations=made.rounded, notes=notes)
            chosen = _with_plan(chosen, made.compression.plan)
        rmtree(values)
        write_contents(folder, chosen, prepared.vocabularies, reference, evidence)
        paths = {
            target: {name: str(path.relative_to(folder)) for name, path in each.items()}
            for target, each in artifacts.items()
        }
        manifest = seal(folder, name=chosen.name, version=chosen.version, artifacts=paths)
        passed = evidence.passed
        place = publish(folder, out if passed else failed)
    return BuildResult(
        path=place,
        evidence=evidence,
        passed=passed,
        tree_sha256=manifest.tree_sha256,
        report=place / "evidence" / "report.html",
    )


def _choose(recipe: Recipe, names: Sequence[str]) -> Recipe:
    unknown = [name for name in names if name not in recipe.targets]
    if unknown:
        raise RecipeError(f"target {unknown[0]!r} is not in the recipe; known: {', '.join(recipe.targets)}")
    if not names:
        return recipe
    return replace(recipe, targets={name: each for name, each in recipe.targets.items() if name in names})


def _offered(evidence: Evidence, planned: _Planned, out: Path) -> tuple[str, ...]:
    """What to say where a plan that was searched for costs more than it may on the evaluation data."""
    from pocketrec.pipeline.search import offered

    lost = any(each.target == COMPRESSED and each.status == "failed" for each in evidence.gates)
    return offered(planned.front, out.with_name(f"{out.name}.search")) if lost and planned.front else ()


def _with_plan(recipe: Recipe, plan: Plan) -> Recipe:
    """The recipe with its plan spelled out, so that it is replayed without a search; its budget is a gate."""
    asked, gates = recipe.compress, recipe.gates
    stated = replace(asked, tensors=plan.to_table(), preset=None, max_size_mb=None, max_ratio=None)
    if gates.max_size_mb is None:
        gates = replace(gates, max_size_mb=asked.max_size_mb)
    return replace(recipe, compress=stated, gates=gates)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Planned:
    """The plan, what it rests on, and a search's front; `stated` where the recipe spells it out."""

    plan: Plan
    stated: bool
    calibration: Calibration
    front: tuple[PlanPoint, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    """The model as it is shipped, its captures, and its artifacts: target to function to path."""

    prepared: Prepared
    reference: Reference
    captures: Mapping[str, Capture]
    artifacts: Mapping[str, Mapping[str, Path]]


@dataclass(frozen=True, slots=True, kw_only=True)
class _MadeCompressed(_Made):
    """The same of a compressed model, and what must be said of how it was compressed."""

    compression: Compression
    rounded: tuple[RoundedInput, ...]
    notes: tuple[str, ...]


def _make(
    prepared: Prepared,
    reference: Reference,
    codes: Mapping[str, QuantizedTensor],
    folder: Path,
    report: Progress,
) -> _Made:
    captures = capture_functions(prepared, reference, report)
    artifacts = lower(prepared, captures, codes, folder, report)
    return _Made(prepared=prepared, reference=reference, captures=captures, artifacts=artifacts)


def _make_compressed(
    prepared: Prepared,
    planned: _Planned,
    folder: Path,
    base: Path,
    report: Progress,
    workers: Workers | None,
) -> _MadeCompressed:
    """The compressed model; a plan of our own leaves out what a graph holds only folded into others."""
    plan = planned.plan
    left_out: list[str] = []
    rounded: tuple[RoundedInput, ...] = ()
    while True:
        report("compress", 0, 1)
        values = folder / _VALUES / f"compressed-{len(left_out)}"
        values.mkdir()
        compressed, compression = compress_prepared(plan, prepared, planned.calibration.usage, values)
        if prepared.recipe.compress.activations is not None:
            report("calibrate inputs", 0, 1)
            data = search_data(prepared, base)
            compressed, compression, rounded = round_prepared(compressed, compression, data)
        reference = examine_module(compressed, report, workers)
        try:
            made = _make(compressed, reference, compression.codes, folder, report)
            break
        except Derived as error:
            if planned.stated:
                raise
            plan, left_out = plan.without(error.names), [*left_out, *error.names]
            rmtree(folder / "artifacts")
    said = (*left_out_notes(left_out), *constant_notes(made.prepared.lowered, made.captures))
    return _MadeCompressed(
        prepared=made.prepared,
        reference=made.reference,
        captures=made.captures,
        artifacts=made.artifacts,
        compression=compression,
        rounded=rounded,
        notes=(*planned.calibration.notes, *said),
    )


def _plan(
    prepared: Prepared, original: Reference, out: Path, base: Path, workers: Workers | None, report: Progress
) -> _Planned:
    """The recipe's plan, stated or found; what a search measured stays in `<out>.search`."""
    from pocketrec.pipeline.evaluator import make_evaluator, search_folder
    from pocketrec.pipeline.overhead import check_room
    from pocketrec.pipeline.search import search_plan, streamed_trials

    compress, module, contract = prepared.recipe.compress, prepared.module, prepared.contract
    if compress.tensors:
        plan = explicit_plan(compress, prepared.lowered, ())
        calibration = calibrate(module, contract, prepared.data, gradients=plan.needs_gradients)
        return _Planned(plan=plan, stated=True, calibration=calibration)
    captures = capture_functions(prepared, original, report)
    read = {name: by for name, by in tensors_read(prepared.lowered, captures).items() if by}
    report("calibrate", 0, 1)
    calibration = calibrate(module, contract, prepared.data)
    if not compress.searches:
        plan = explicit_plan(compress, prepared.lowered, read, calibration.usage)
        return _Planned(plan=plan, stated=False, calibration=calibration)
    folder, data = out.with_name(f"{out.name}.search"), search_data(prepared, base)
    lowered, usage = prepared.lowered, calibration.usage
    with search_folder(folder):
        folder.mkdir(parents=True, exist_ok=True)
    besides = check_room(prepared, captures, read, folder, report)
    with streamed_trials(prepared, folder / _VALUES) as trials:
        plan, front = search_plan(
            compress,
            make_evaluator(lowered, contract, prepared.recipe.evaluate, data, usage, trials),
            prepared.recipe.targets,
            read,
            folder,
            workers=workers or Workers(),
            progress=report,
            besides=besides,
        )
    return _Planned(plan=plan, stated=False, calibration=calibration, front=front)
