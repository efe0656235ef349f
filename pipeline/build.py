"""A recipe to a bundle: the road, its evidence, and everything beside the artifacts, published at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING

from pocketrec.convert.targets import resolve_targets, with_others
from pocketrec.errors import ConversionError, RecipeError, meant
from pocketrec.foreign import generators_kept
from pocketrec.kept import Parts
from pocketrec.package.host.roles import calls_of
from pocketrec.pipeline.api import vectors_of
from pocketrec.pipeline.carried import check_carried, tensor_shapes
from pocketrec.pipeline.compare.against import baseline_at, with_versus
from pocketrec.pipeline.compare.moved import Judge
from pocketrec.pipeline.contents import write_contents, write_evidence
from pocketrec.pipeline.examine import evidence_of
from pocketrec.pipeline.frozen import kept_notes, scales_of, taken
from pocketrec.pipeline.plans import recipe_planner
from pocketrec.pipeline.publish import told_of
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.remedies import without_circles
from pocketrec.pipeline.road import Built, Journey, road
from pocketrec.pipeline.sources import load_source
from pocketrec.pipeline.titles import titles_of
from pocketrec.pipeline.world import check_model
from pocketrec.places import exits_told
from pocketrec.progress import Progress, silent
from pocketrec.recipe import Recipe, Target
from pocketrec.report import COMPRESSED, Evidence, PlanPoint
from pocketrec.validate.budgets import size_limit
from pocketrec.workers import Workers

if TYPE_CHECKING:
    from pocketrec.quantize import Plan
    from pocketrec.source.loaded import Loaded


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """What a build leaves behind.

    Attributes:
        path: the bundle.
        evidence: everything that was found out.
        passed: True where every gate that ran passed.
        tree_sha256: digest of the bundle without its evidence; equal for equal builds.
        report: the HTML report inside the bundle.
        parts: of the evaluation data, how many were computed, and how many of an earlier build were reused.
    """

    path: Path
    evidence: Evidence
    passed: bool
    tree_sha256: str
    report: Path
    parts: Mapping[str, int] = field(default_factory=dict)


@exits_told()
@generators_kept()
def build(
    recipe: str | Path | Recipe,
    *,
    out: Path | None = None,
    targets: Sequence[str] = (),
    baseline: Path | None = None,
    progress: Progress | None = None,
    workers: Workers | None = None,
    parts: Path | None = None,
) -> BuildResult:
    """The bundle of a recipe, built, examined and published.

    A build whose gates fail goes to `<out>.failed`, with its evidence; a good bundle at `out` is
    never replaced by a bad one. A build that was killed goes on where it was when it is asked for again:
    parts of the evaluation data that were examined are kept until it is done, by everything that decides
    what was found, and so is how far codes were distilled, which stays in `<out>.search`.

    Args:
        recipe: the path of a recipe.toml, or a recipe that was read (its paths are then relative
            to the working directory).
        out: the bundle's folder; by default `build/<name>`.
        targets: names of the recipe's targets; all of them by default.
        baseline: the bundle of the release before: what changed since is in the evidence, and gated by
            `gates.versus`.
        progress: called with what is being done, how many steps are done, and of how many.
        workers: who searches for a plan and examines the evaluation data; this process by default.
        parts: the folder of finished parts; by default `<out>.parts`.

    Raises:
        BudgetMissed: no compression plan holds the recipe's budget; the nearest is in `<out>.search`.
        RecipeError: the recipe, or what it names, does not fit.
        UsageError: there is no bundle at `baseline`.
        ArtifactError: the baseline is damaged.
        ConversionError: a function cannot be captured or lowered.
    """
    from pocketrec.package.bundle import publish, seal, staging
    from pocketrec.package.origins import ORIGINS, write_origins
    from pocketrec.package.scales import write_scales

    base = Path.cwd() if isinstance(recipe, Recipe) else Path(recipe).parent
    read = resolve_targets(recipe) if isinstance(recipe, Recipe) else load_recipe(recipe)
    chosen = _choose(read, targets)
    named = "recipe" if isinstance(recipe, Recipe) else str(recipe)
    check_carried(chosen.compress, chosen.targets, named)
    before = None if baseline is None else baseline_at(Path(baseline))
    last = taken(chosen.compress, base)
    out = Path("build") / chosen.name if out is None else Path(out)
    report = progress or silent
    failed = out.parent / f"{out.name}.failed"
    kept = Parts(parts or out.parent / f"{out.name}.parts")
    workers = replace(workers or Workers(), parts=kept)
    with kept.told(), staging(out, failed) as folder:
        report("load", 0, 1)
        values = folder / ".values"
        values.mkdir()
        loaded = load_source(chosen, base, values)
        check_carried(chosen.compress, chosen.targets, named, tensor_shapes(loaded.trials.core.lowered))
        calls_of(loaded.model.contract)  # a role that does not fit is told before anything is computed
        journey = Journey(
            targets=chosen.targets,
            gates=chosen.gates,
            folder=folder,
            compress=chosen.compress,
            workers=workers,
            report=report,
            kept=_searched(out),
        )
        planner = recipe_planner(loaded, chosen.targets, out, workers, report, last)
        built = road(loaded.trials, journey, planner if chosen.compress.active else None)
        if built.refused:
            raise _refusal(built, chosen.targets)
        said = check_model(loaded.model.module, built.original)
        report("api", 0, 1)
        api, lacking = vectors_of(built.reference, loaded.model.vocabularies)
        evidence = evidence_of(built, chosen, folder, report, (*said, *lacking, *_damaged(kept)))
        evidence = replace(evidence, titles=titles_of(evidence.results, loaded.model.vocabularies))
        if built.compressed is not None:
            codes = built.compressed.compression.codes
            said = (*_offered(evidence, built.compressed.planned.front, out), *kept_notes(last, codes))
            write_scales(folder, scales_of(codes))
            evidence = replace(evidence, notes=(*evidence.notes, *said))
            chosen = _with_plan(chosen, built.compressed.compression.plan)
        rmtree(values)
        artifacts = {target: each.artifacts for target, each in built.delivered.items()}
        write_contents(folder, chosen, loaded.model.vocabularies, built.reference, evidence, artifacts, api)
        write_origins(folder / ORIGINS, told_of(built.delivered, artifacts, folder))
        paths = {
            target: {name: str(path.relative_to(folder)) for name, path in each.items()}
            for target, each in artifacts.items()
        }
        manifest = seal(folder, name=chosen.name, version=chosen.version, artifacts=paths)
        if before is not None or chosen.gates.versus is not None:
            judge = _judge(loaded, evidence, workers)
            evidence = with_versus(evidence, chosen, before, folder, judge, report)
            write_evidence(folder, evidence, version=chosen.version)
            seal(folder, name=chosen.name, version=chosen.version, artifacts=paths)
        passed = evidence.passed
        place = publish(folder, out if passed else failed)
    kept.remove(others=parts is None)
    return BuildResult(
        path=place,
        evidence=evidence,
        passed=passed,
        tree_sha256=manifest.tree_sha256,
        report=place / "evidence" / "report.html",
        parts={"computed": kept.computed, "reused": kept.reused},
    )


def _damaged(kept: Parts) -> tuple[str, ...]:
    """What to say of finished parts that were not what was written."""
    return tuple(f"A finished part was damaged, and was computed anew: {each.name}" for each in kept.damaged)


def _judge(loaded: Loaded, evidence: Evidence, workers: Workers | None) -> Judge:
    """What the build and its baseline are ranked on: what the build was examined on."""
    return Judge(
        asked=loaded.asked,
        data_sha256={loaded.asked[0].name: evidence.data_sha256, **evidence.further_data},
        workers=workers,
    )


def _refusal(built: Built, targets: Mapping[str, Target]) -> ConversionError:
    """The first refusal; it recommends no target whose format refuses, too."""
    refused = without_circles(built.refused, built.delivered, with_others(targets))
    return next(iter(refused.values()))


def _offered(evidence: Evidence, front: Sequence[PlanPoint], out: Path) -> tuple[str, ...]:
    """What to say where a plan that was searched for costs more than it may on the evaluation data."""
    from pocketrec.pipeline.search import offered

    lost = any(each.target == COMPRESSED and each.status == "failed" for each in evidence.gates)
    return offered(front, _searched(out)) if lost and front else ()


def _searched(out: Path) -> Path:
    """The folder of what a search measured and how far a distillation came, for the next build."""
    return out.with_name(f"{out.name}.search")


def _choose(recipe: Recipe, names: Sequence[str]) -> Recipe:
    unknown = [name for name in names if name not in recipe.targets]
    if unknown:
        raise RecipeError(
            f"target {unknown[0]!r} is not in the recipe; known: {', '.join(recipe.targets)}"
            f"{meant(unknown[0], recipe.targets)}"
        )
    if not names:
        return recipe
    return replace(recipe, targets={name: each for name, each in recipe.targets.items() if name in names})


def _with_plan(recipe: Recipe, plan: Plan) -> Recipe:
    """The recipe with its plan spelled out, so that it is replayed without a search; its budget is a gate."""
    asked, gates = recipe.compress, recipe.gates
    tensors = plan.to_table()
    stated = replace(asked, tensors=tensors, preset=None, max_size_mb=None, max_ratio=None, rounding=None)
    if gates.max_size_mb is None:
        gates = replace(gates, max_size_mb=asked.max_size_mb)
    elif asked.max_size_mb is not None:
        limits = {target: size_limit(gates, asked, target) for target in recipe.targets}
        held = {target: limit for target, limit in limits.items() if limit is not None}
        gates = replace(gates, max_size_mb=held or None)
    return replace(recipe, compress=stated, gates=gates)
