"""A build against its baseline: what changed since the release before, and the gates on it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pocketrec.errors import CheckFailed, InputError
from pocketrec.package.bundle import RECIPE, Bundle, read_bundle, read_contract, table_of
from pocketrec.package.parts import EVIDENCE
from pocketrec.pipeline.compare.diff import compared, items_of, weights_of
from pocketrec.pipeline.compare.moved import Judge, NotComparable
from pocketrec.pipeline.releases import release_at
from pocketrec.progress import Progress
from pocketrec.recipe import Recipe, Versus
from pocketrec.report import Evidence, ReleaseDiff


def baseline_at(path: Path) -> Bundle:
    """The release that a build is compared with, read as far as the comparison reads it.

    Raises:
        UsageError: there is no bundle.
        ArtifactError: a file of it is damaged, or is none that a bundle has.
    """
    bundle = release_at(path)
    items_of(bundle, read_contract(bundle))
    weights_of(bundle)
    for name in (RECIPE, EVIDENCE):
        table_of(bundle, name)
    return bundle


def with_versus(
    evidence: Evidence,
    recipe: Recipe,
    baseline: Bundle | None,
    folder: Path,
    judge: Judge,
    report: Progress,
) -> Evidence:
    """The evidence with what changed since the baseline, and its gates.

    Args:
        evidence: of the build.
        recipe: its own limits, or that the version says what changed.
        baseline: the release before; None fails, or is skipped, as the recipe says.
        folder: the bundle as it will be published, sealed.
        judge: on what both are ranked.
        report: told what is being done.
    """
    from pocketrec.validate.versus_gates import check_versus

    versus = recipe.gates.versus or Versus()
    found = None if baseline is None else _compared(baseline, read_bundle(folder), recipe, judge, report)
    return replace(evidence, versus=found, gates=(*evidence.gates, *check_versus(versus, found, recipe.held)))


def _compared(baseline: Bundle, built: Bundle, recipe: Recipe, judge: Judge, report: Progress) -> ReleaseDiff:
    """What changed; a baseline that does not run is not comparable, and ends no build."""

    def refused() -> Judge:
        raise NotComparable(f"{baseline.path}: {broken}")

    try:
        found = compared(baseline, built, lambda: judge, latency=recipe.latency, progress=report)
    except (CheckFailed, InputError) as error:
        broken = error
        found = compared(baseline, built, refused, latency=recipe.latency, progress=report)
    return replace(found, new=replace(found.new, path=""))  # where it is published is not known yet
