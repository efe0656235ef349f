"""The whole road as one function: recipe in, proven bundle out.

    source ─▶ compress ─▶ capture, rewrite ─▶ lower per target ─▶ examine per runtime ─▶ gates ─▶ bundle

The only module, besides the command line, that knows all the stages.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from pocketrec.calibration import Calibration, calibrate
from pocketrec.compression import compress_prepared, explicit_plan, tensors_read
from pocketrec.contents import write_contents
from pocketrec.errors import PlanError, RecipeError
from pocketrec.examination import Progress, examine, examine_module, silent, with_compression
from pocketrec.lowering import capture_functions, lower
from pocketrec.prepared import Prepared, prepare, search_data
from pocketrec.recipe import Recipe, load_recipe
from pocketrec.report import Evidence, PlanPoint
from pocketrec.workers import Workers

if TYPE_CHECKING:
    from pocketrec.quantize import Plan
    from pocketrec.validate.evidence import Reference


_VALUES = ".values"  # in the staging folder: what streamed tables stand for while the reference runs


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
    from pocketrec.package.publish import check_destination

    base = Path.cwd() if isinstance(recipe, Recipe) else Path(recipe).parent
    chosen = _choose(recipe if isinstance(recipe, Recipe) else load_recipe(recipe), targets)
    out = Path("build") / chosen.name if out is None else Path(out)
    report = progress or silent
    failed = out.with_name(f"{out.name}.failed")
    check_destination(failed)
    with staging(out) as folder:
        report("load", 0, 1)
        values = folder / _VALUES
        values.mkdir()
        prepared = prepare(chosen, base, values)
        original = reference = examine_module(prepared, report, workers)
        compression = None
        front: tuple[PlanPoint, ...] = ()
        if chosen.compress.active:
            plan, calibration, front = _plan(prepared, original, out, base, workers, report)
            report("compress", 0, 1)
            prepared, compression = compress_prepared(plan, prepared, calibration.usage, values)
            reference = examine_module(prepared, report, workers)
        captures = capture_functions(prepared, reference, report)
        codes = compression.codes if compression is not None else {}
        artifacts = lower(prepared, captures, codes, folder, report)
        evidence = examine(prepared, reference, captures, artifacts, folder, report, workers)
        if compression is not None:
            evidence = with_compression(evidence, compression, original, reference, captures, chosen.compress)
            evidence = replace(evidence, front=front, notes=(*evidence.notes, *calibration.notes))
            chosen = _with_plan(chosen, plan)
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


def _with_plan(recipe: Recipe, plan: Plan) -> Recipe:
    """The recipe with its plan spelled out, so that it is replayed without a search."""
    asked = recipe.compress
    stated = replace(asked, tensors=plan.to_table(), preset=None, max_size_mb=None, max_ratio=None)
    return replace(recipe, compress=stated)


def _plan(
    prepared: Prepared, original: Reference, out: Path, base: Path, workers: Workers | None, report: Progress
) -> tuple[Plan, Calibration, tuple[PlanPoint, ...]]:
    """The recipe's plan, stated or found, what it rests on, and a search's front.

    What a search measured stays in `<out>.search`.
    """
    from pocketrec.plan_measure import make_evaluator
    from pocketrec.planning import search_plan

    compress, module, contract = prepared.recipe.compress, prepared.module, prepared.contract
    if compress.tensors:
        plan = explicit_plan(compress, prepared.lowered, ())
        return plan, calibrate(module, contract, prepared.data, gradients=plan.needs_gradients), ()
    if compress.searches and prepared.streamed is not None:
        table = prepared.streamed.tables[0].name
        raise PlanError(
            f"compress: a search holds every table, and {table} is streamed; state compress.tensors or "
            "preset = 'int8' or 'int4', or raise model.stream_mb to hold it"
        )
    captures = capture_functions(prepared, original, report)
    read = {name: by for name, by in tensors_read(prepared.lowered, captures).items() if by}
    report("calibrate", 0, 1)
    calibration = calibrate(module, contract, prepared.data)
    if not compress.searches:
        return explicit_plan(compress, prepared.lowered, read, calibration.usage), calibration, ()
    data = search_data(prepared, base)
    evaluator = make_evaluator(module, contract, prepared.recipe.evaluate, data, calibration.usage)
    plan, front = search_plan(
        compress,
        evaluator,
        prepared.recipe.targets,
        read,
        out.with_name(f"{out.name}.search"),
        workers=workers or Workers(),
        progress=report,
    )
    return plan, calibration, front
