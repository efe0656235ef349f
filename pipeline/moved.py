"""How rankings moved from one release to the next: both artifacts on one evaluation data, user by user."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract
from pocketrec.convert.targets import row_of_suffix
from pocketrec.errors import DataError, UsageError
from pocketrec.evaluation import RankingData
from pocketrec.package.bundle import Bundle
from pocketrec.package.compare.changes import Change
from pocketrec.package.host.items import Items
from pocketrec.pipeline.reached import reached_by
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.sources import load_source
from pocketrec.progress import Progress
from pocketrec.recipe import Evaluate
from pocketrec.report import RankingParity

if TYPE_CHECKING:
    from pocketrec.evaluation import EvaluationData
    from pocketrec.validate.measure.ranking import QualityRun

_WORST = 10
_HISTORY = 5  # items of a history that are shown, the latest


@dataclass(frozen=True, slots=True, kw_only=True)
class MovedList:
    """One user's lists in titles, best first, and the end of the history that they follow."""

    row: int
    overlap: float
    history: tuple[str, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """How far rankings moved, or why they were not compared.

    Attributes:
        reason: why not; empty where they were.
        target: whose artifacts ran.
        runtime: on what.
        quality: the earlier release as the reference, the later one beside it; None where there is a reason.
        worst: the lists that kept least, the worst first; none for labels, and none that kept everything.
    """

    reason: str = ""
    target: str = ""
    runtime: str = ""
    quality: RankingParity | None = None
    worst: tuple[MovedList, ...] = ()


def moved(
    bundles: tuple[Bundle, Bundle],
    contracts: tuple[Contract, Contract],
    items: tuple[Mapping[str, Items], Mapping[str, Items]],
    changes: Sequence[Change],
    recipe: Path,
    *,
    target: str | None,
    progress: Progress,
) -> Moved:
    """Both releases on the evaluation data of a recipe.

    Args:
        bundles: the earlier and the later one.
        contracts: theirs.
        items: theirs.
        changes: of the contracts.
        recipe: whose data factory runs; its ids are those of the later release.
        target: whose artifacts run; by default the first of both that runs everywhere.
        progress: told what is being done.

    Raises:
        UsageError: there is no such target in both.
        RecipeError: the recipe cannot be read, or has no evaluation.
    """
    broken = next((each for each in changes if each.level == "breaking"), None)
    if broken is not None:
        return Moved(reason=f"not comparable: {broken.message}")
    chosen = _target(bundles, target)
    read = load_recipe(recipe)
    loaded = load_source(read, recipe.resolve().parent)
    if loaded.model.contract.sha256() != contracts[1].sha256():
        said = f"not comparable: {recipe} has another contract than {bundles[1].path}"
        return Moved(reason=f"{said}; pass the recipe that it was built from")
    evaluate, data = read.evaluate, loaded.data
    runs, runtime = [], ""
    for place, (bundle, contract) in enumerate(zip(bundles, contracts, strict=True)):
        progress(f"rank by {bundle.manifest.name} {bundle.manifest.version}", place, 2)
        try:
            engine = _portable(bundle, chosen, evaluate.function)
            run, runtime = reached_by(bundle, contract, evaluate, data, chosen, engine)
        except DataError as error:
            return Moved(reason=f"not comparable: {bundle.path}: {error}")
        runs.append(run)
    progress("compare lists", 2, 2)
    return Moved(
        target=chosen,
        runtime=runtime,
        quality=_quality(runs[0], runs[1], evaluate, contracts[1], data),
        worst=tuple(_worst(runs[0], runs[1], evaluate, contracts[1], items, data)),
    )


def _target(bundles: tuple[Bundle, Bundle], stated: str | None) -> str:
    """The target of both bundles."""
    one, other = (each.manifest.artifacts for each in bundles)
    both = sorted(one.keys() & other.keys())
    if stated is not None and stated not in both:
        raise UsageError(f"{stated!r} is no target of both; expected one of {', '.join(both) or 'none'}")
    if not both:
        raise UsageError(f"{bundles[0].path}, {bundles[1].path}: no target of one name; build both with one")
    portable = [name for name in both if all(path.endswith(".onnx") for path in one[name].values())]
    return stated or (portable or both)[0]


def _portable(bundle: Bundle, target: str, function: str) -> str | None:
    """The engine that runs everywhere, so that both releases run on the same."""
    row = row_of_suffix(bundle.artifact(target, function).suffix)
    return None if row is None else next(iter(row.runtimes))


def _quality(
    before: QualityRun, after: QualityRun, evaluate: Evaluate, contract: Contract, data: EvaluationData
) -> RankingParity:
    from pocketrec.validate.measure.compare import compare_quality
    from pocketrec.validate.measure.slices import facts_of

    return compare_quality(before, after, facts_of(evaluate, contract, data))


def _worst(
    before: QualityRun,
    after: QualityRun,
    evaluate: Evaluate,
    contract: Contract,
    items: tuple[Mapping[str, Items], Mapping[str, Items]],
    data: EvaluationData,
) -> Iterator[MovedList]:
    """The users whose lists share least, the earlier row first of equal ones."""
    from pocketrec.validate.measure.metrics.top_k_overlap import top_k_overlap

    if before.top_k is None or after.top_k is None:
        return
    name = _listed(evaluate, contract)
    if name not in items[0] or name not in items[1]:
        return
    shares = top_k_overlap(before.top_k, after.top_k)
    rows = [int(row) for row in np.argsort(shares, kind="stable")[:_WORST] if shares[row] < 1]
    histories = _histories(rows, evaluate, contract, items[1], data)
    for row, history in zip(rows, histories, strict=True):
        yield MovedList(
            row=row,
            overlap=float(shares[row]),
            history=history,
            before=_titles(items[0][name], before.top_k[row]),
            after=_titles(items[1][name], after.top_k[row]),
        )


def _listed(evaluate: Evaluate, contract: Contract) -> str:
    """The vocabulary of what is listed: the output's, else that of the first id on the item side."""
    out = contract.functions[evaluate.function].output(evaluate.output)
    if out.vocabulary is not None:
        return out.vocabulary
    signature = contract.functions[str(evaluate.catalogue_function)]
    return next((each.vocabulary for each in signature.inputs if each.vocabulary is not None), "")


def _titles(items: Items, ids: npt.NDArray[np.int64]) -> tuple[str, ...]:
    return tuple(items.shown(int(each)) for each in ids if 0 <= each < len(items.tokens))


def _histories(
    rows: Sequence[int],
    evaluate: Evaluate,
    contract: Contract,
    items: Mapping[str, Items],
    data: EvaluationData,
) -> list[tuple[str, ...]]:
    """The last items of the rows' sequences, in titles; empty where the function takes none."""
    inputs = contract.functions[evaluate.function].inputs
    sequences = [each for each in inputs if each.kind == "id_sequence" and each.vocabulary in items]
    if not sequences:
        return [() for _ in rows]
    sequence = sequences[0]
    words = items[str(sequence.vocabulary)]
    found, wanted, start = {}, set(rows), 0
    for part in data.parts(4096):
        assert isinstance(part, RankingData)
        for row in wanted & set(range(start, start + len(part))):
            ids = [int(each) for each in np.asarray(part.inputs[sequence.name][row - start])]
            found[row] = tuple(words.shown(each) for each in ids if words.is_item(each))[-_HISTORY:]
        start += len(part)
    return [found[row] for row in rows]
