"""How rankings moved from one release to the next: both artifacts on one evaluation data, user by user."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pocketrec.contract import Contract
from pocketrec.convert.targets import row_of_suffix
from pocketrec.errors import DataError, UsageError
from pocketrec.package.bundle import RECIPE, Bundle, table_of
from pocketrec.package.host.items import Items
from pocketrec.package.parts import EVIDENCE
from pocketrec.pipeline.app import first_portable
from pocketrec.pipeline.compare.protocol import data_of, obstacle, protocol_as_read, protocols_of
from pocketrec.pipeline.reached import reached_by
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.sources import load_evaluation
from pocketrec.progress import Progress
from pocketrec.report import Change, Moved, MovedList, RankingParity
from pocketrec.workers import Workers

if TYPE_CHECKING:
    from pocketrec.evaluation import Asked
    from pocketrec.validate.measure.ranking import QualityRun

Bundles = tuple[Bundle, Bundle]

_WORST = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Judge:
    """What both releases are judged by.

    Attributes:
        asked: of which outputs, at which lengths, on which data; ids are those of the later release.
        data_sha256: of the content of each evaluation's data, by its name.
        workers: who examines it; this process alone by default.
    """

    asked: tuple[Asked, ...]
    data_sha256: Mapping[str, str]
    workers: Workers | None = None


def judge_of(recipe: Path, new: Bundle, contract: Contract) -> Judge:
    """The evaluation of a recipe, whose data factory runs.

    Raises:
        NotComparable: it is not the recipe of the later release.
        RecipeError: the recipe cannot be read, or has no evaluation.
    """
    from pocketrec.validate.measure.digest import data_sha256

    read = load_recipe(recipe)
    stated, asked = load_evaluation(read, recipe.resolve().parent)
    if stated.sha256() != contract.sha256():
        said = f"{recipe} has another contract than {new.path}"
        raise NotComparable(f"{said}; pass the recipe that it was built from")
    return Judge(asked=asked, data_sha256={each.name: data_sha256(each.data) for each in asked})


class NotComparable(Exception):
    """Why no figure of one release may be set against one of the other."""


def moved(
    bundles: Bundles,
    contracts: tuple[Contract, Contract],
    items: tuple[Mapping[str, Items], Mapping[str, Items]],
    changes: Sequence[Change],
    judged_by: Callable[[], Judge],
    *,
    target: str | None,
    progress: Progress,
) -> tuple[Moved, ...]:
    """Both releases on the data of each evaluation, or why they are not compared.

    Args:
        bundles: the earlier and the later one.
        contracts: theirs.
        items: theirs.
        changes: of the contracts; where they break, ids mean other items.
        judged_by: gives the evaluations, once nothing else stands in the way.
        target: whose artifacts run; by default the first of both that runs everywhere.
        progress: told what is being done.

    Raises:
        UsageError: there is no such target in both.
        RecipeError: the recipe cannot be read, or has no evaluation.
    """
    if target is not None:
        _check_target(bundles, target)
    try:
        chosen = target or _target(bundles)
        broken = next((each for each in changes if each.level == "breaking"), None)
        if broken is not None:
            raise NotComparable(broken.message)
        judge = judged_by()
    except NotComparable as reason:
        return (Moved(reason=f"not comparable: {reason}"),)
    return tuple(_moved(each, judge, bundles, contracts, items, chosen, progress) for each in judge.asked)


def _moved(
    asked: Asked,
    judge: Judge,
    bundles: Bundles,
    contracts: tuple[Contract, Contract],
    items: tuple[Mapping[str, Items], Mapping[str, Items]],
    target: str,
    progress: Progress,
) -> Moved:
    """Both releases in one evaluation, or why they are not compared in it."""
    try:
        _check_protocol(bundles, asked, judge)
        runs, runtime = _runs(bundles, contracts, asked, judge.workers, target, progress)
    except NotComparable as reason:
        return Moved(name=asked.name, reason=f"not comparable: {reason}")
    progress("compare lists", 2, 2)
    return Moved(
        name=asked.name,
        target=target,
        runtime=runtime,
        quality=_quality(*runs, asked, contracts[1]),
        kept=_kept(*runs),
        worst=tuple(_worst(*runs, asked, contracts[1], items)),
    )


def _check_protocol(bundles: Bundles, asked: Asked, judge: Judge) -> None:
    """Checks that both releases were evaluated as they are judged now, as far as they say."""
    now = protocol_as_read(asked.evaluate)
    for bundle in bundles:
        name = f"{bundle.manifest.name} {bundle.manifest.version}"
        recipe = table_of(bundle, RECIPE)
        known = protocols_of(recipe)
        called = next(iter(known)) if not asked.name and len(known) == 1 else asked.evaluate.called
        if called not in known:
            raise NotComparable(f"{name} has no evaluation {called!r}; it has {', '.join(known)}")
        other = obstacle(known[called], now)
        if other:
            raise NotComparable(f"{name} was evaluated otherwise, {other}; build it again with these")
        digest = data_of(recipe, table_of(bundle, EVIDENCE))[called]
        if digest and digest != judge.data_sha256[asked.name]:
            raise NotComparable(f"{name} was evaluated on other data; build it again on these")


def _runs(
    bundles: Bundles,
    contracts: tuple[Contract, Contract],
    asked: Asked,
    workers: Workers | None,
    target: str,
    progress: Progress,
) -> tuple[tuple[QualityRun, QualityRun], str]:
    """What both reach, on one engine."""
    found, runtime = [], ""
    for place, (bundle, contract) in enumerate(zip(bundles, contracts, strict=True)):
        progress(f"rank by {bundle.manifest.name} {bundle.manifest.version}", place, 2)
        engine = _portable(bundle, target, asked.evaluate.function)
        given = (bundle, contract, asked.evaluate, asked.data, target, engine, workers)
        try:
            run, runtime = reached_by(*given)
        except DataError as error:
            raise NotComparable(f"{bundle.path}: {error}") from None
        found.append(run)
    return (found[0], found[1]), runtime


def _both(bundles: Bundles) -> list[str]:
    one, other = (each.manifest.artifacts for each in bundles)
    return sorted(one.keys() & other.keys())


def _check_target(bundles: Bundles, stated: str) -> None:
    both = _both(bundles)
    if stated not in both:
        raise UsageError(f"{stated!r} is no target of both; expected one of {', '.join(both) or 'none'}")


def _target(bundles: Bundles) -> str:
    """The first target of both, one that runs everywhere before others."""
    both = _both(bundles)
    if not both:
        raise NotComparable(f"{bundles[0].path} and {bundles[1].path} have no target of one name")
    return first_portable(bundles[0], both)


def _portable(bundle: Bundle, target: str, function: str) -> str | None:
    """The engine that runs everywhere, so that both releases run on the same."""
    row = row_of_suffix(bundle.artifact(target, function).suffix)
    return None if row is None else row.portable


def _quality(before: QualityRun, after: QualityRun, asked: Asked, contract: Contract) -> RankingParity:
    from pocketrec.validate.measure.compare import compare_quality
    from pocketrec.validate.measure.slices import facts_of

    facts = facts_of(asked.evaluate, contract, asked.data)
    return replace(compare_quality(before, after, facts), name=asked.name)


def _kept(before: QualityRun, after: QualityRun) -> tuple[int, ...]:
    """How many users' lists kept no item, one, and so on."""
    from pocketrec.validate.measure.metrics.top_k_overlap import top_k_overlap

    if before.top_k is None or after.top_k is None:
        return ()
    longest = before.top_k.shape[1]
    kept = np.rint(top_k_overlap(before.top_k, after.top_k) * longest).astype(np.int64)
    return tuple(int(each) for each in np.bincount(kept, minlength=longest + 1))


def _worst(
    before: QualityRun,
    after: QualityRun,
    asked: Asked,
    contract: Contract,
    items: tuple[Mapping[str, Items], Mapping[str, Items]],
) -> Iterator[MovedList]:
    """The users whose lists share least, the earlier row first of equal ones."""
    from pocketrec.validate.measure.user_lists import user_lists

    longest = 0 if before.top_k is None else before.top_k.shape[1]
    given = (before, after, asked.evaluate, contract, asked.data)
    for each in user_lists(*given, users=_WORST, items=longest):
        if each.overlap == 1 or any(each.vocabulary not in known for known in items):
            return
        yield MovedList(
            row=each.row,
            overlap=each.overlap,
            history=_titles(items[1].get(each.history_vocabulary), each.history),
            before=_titles(items[0][each.vocabulary], each.before),
            after=_titles(items[1][each.vocabulary], each.after),
        )


def _titles(items: Items | None, ids: Sequence[int]) -> tuple[str, ...]:
    """The titles of the ids that the vocabulary has."""
    return () if items is None else tuple(items.shown(each) for each in ids if 0 <= each < len(items.tokens))
