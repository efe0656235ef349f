"""What a bundle's own artifacts reach on evaluation data."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from pocketrec.contract import Contract
from pocketrec.package.bundle import Bundle
from pocketrec.pipeline.app import open_checked
from pocketrec.recipe import Evaluate
from pocketrec.workers import Workers

if TYPE_CHECKING:
    from pocketrec.evaluation import EvaluationData
    from pocketrec.validate.measure.ranking import QualityRun
    from pocketrec.validate.runtimes.runtime import Runtime


def reached_by(
    bundle: Bundle,
    contract: Contract,
    evaluate: Evaluate,
    data: EvaluationData,
    target: str,
    runtime: str | None = None,
    workers: Workers | None = None,
) -> tuple[QualityRun, str]:
    """What the artifacts of a target reach, and what they ran on.

    Args:
        bundle: whose files are checked as they are opened.
        contract: of the bundle.
        evaluate: names the functions.
        data: all of it is examined.
        target: whose artifacts run.
        runtime: the engine; by default the first that the target has here.
        workers: who examines the data; this process alone by default.

    Raises:
        ArtifactError: a file is altered, or the artifact is of another contract.
        DataError: the bundle cannot be judged by these data.
    """
    from pocketrec.validate.measure.quality import quality_of

    names = [each for each in (evaluate.function, evaluate.catalogue_function) if each is not None]
    reopen = partial(_opened, replace(bundle, path=bundle.path.resolve()), target, names, runtime)
    with ExitStack() as stack:
        runtimes = {name: stack.enter_context(open_checked(bundle, target, name, runtime)) for name in names}
        said = runtimes[evaluate.function].describe()
        run = quality_of(evaluate, contract, runtimes, data, workers=workers, reopen=reopen)
        return run, f"{said.runtime} {said.version}"


def _opened(bundle: Bundle, target: str, names: Sequence[str], runtime: str | None) -> dict[str, Runtime]:
    """A target's runtimes in a worker, which keeps them."""
    return {name: open_checked(bundle, target, name, runtime) for name in names}
