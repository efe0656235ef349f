"""Two releases side by side: what changed for an app, in bytes, and in the tools that made them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from pocketrec.contract import Contract
from pocketrec.errors import UsageError
from pocketrec.package.bundle import RECIPE, Bundle, read_contract, table_of
from pocketrec.package.compare.changes import heaviest, ordered
from pocketrec.package.compare.contracts import contract_changes
from pocketrec.package.compare.versions import bump_of
from pocketrec.package.compare.vocabularies import vocabulary_changes
from pocketrec.package.host.items import Items
from pocketrec.package.parts import EVIDENCE
from pocketrec.package.vocabularies import vocabularies_of
from pocketrec.pipeline.compare.moved import Judge, judge_of, moved
from pocketrec.pipeline.compare.protocol import changes_of_protocols, data_of, protocols_of
from pocketrec.pipeline.compare.timed import timed
from pocketrec.pipeline.opening import formats, functions_in
from pocketrec.pipeline.releases import named, release_at
from pocketrec.progress import Progress, silent
from pocketrec.recipe import Latency
from pocketrec.report import Moved, ReleaseDiff, SizeChange


def diff(
    old: Path,
    new: Path,
    *,
    recipe: Path | None = None,
    target: str | None = None,
    latency: Latency | None = None,
    progress: Progress = silent,
) -> ReleaseDiff:
    """What changed from the bundle at `old` to the one at `new`.

    Args:
        old: the earlier release.
        new: the later one.
        recipe: the later one's recipe.toml, whose evaluation data both rank; its data factory runs.
        target: whose artifacts rank; by default the first of both that runs everywhere.
        latency: how the functions of both are called in turns; None calls none.
        progress: told what is being done.

    Raises:
        UsageError: there is no bundle, or no such target.
        RecipeError: the recipe cannot be read.
        ArtifactError: a file of either is damaged.
    """
    if recipe is None and target is not None:
        raise UsageError(f"target {target!r} ranks nothing without a recipe; pass --recipe, too")
    earlier, later = release_at(old), release_at(new)
    judge = None if recipe is None else partial(judge_of, recipe, later, read_contract(later))
    return compared(earlier, later, judge, target=target, latency=latency, progress=progress)


def compared(
    old: Bundle,
    new: Bundle,
    judge: Callable[[], Judge] | None,
    *,
    target: str | None = None,
    latency: Latency | None = None,
    progress: Progress = silent,
) -> ReleaseDiff:
    """What changed from one bundle to the other, whose files were checked; see `diff`.

    Args:
        old: the earlier release.
        new: the later one.
        judge: gives what both are judged by, asked where contracts do not break; None compares no ranking.
        target: whose artifacts rank.
        latency: how functions are called.
        progress: told what is being done.
    """
    before, after = (read_contract(each) for each in (old, new))
    items = items_of(old, before), items_of(new, after)
    changes = ordered([*contract_changes(before, after), *vocabulary_changes(before, after, *items)])
    level = heaviest(changes)
    told = table_of(old, EVIDENCE), table_of(new, EVIDENCE)
    rankings: tuple[Moved, ...] = (
        Moved(reason="not compared: pass --recipe, whose evaluation data both are judged by"),
    )
    if judge is not None:
        pair = (old, new), (before, after)
        rankings = moved(*pair, items, changes, judge, target=target, progress=progress)
    identical = old.manifest.tree_sha256 == new.manifest.tree_sha256
    return ReleaseDiff(
        old=named(old),
        new=named(new),
        level=level,
        changes=changes,
        bump=bump_of(old.manifest.version, new.manifest.version, level, identical=identical),
        sizes=tuple(_sizes(old, new)),
        latency=() if latency is None else tuple(timed(old, new, changes, latency, progress)),
        tools=_tools(*told),
        rewrites=_rewrites(*told),
        protocol=tuple(_protocol(old, new, told)),
        ranking=rankings[0],
        further=rankings[1:],
    )


def items_of(bundle: Bundle, contract: Contract) -> dict[str, Items]:
    """The items of the vocabularies that have their tokens in the bundle."""
    known = {name: each for name, each in contract.vocabularies.items() if "tokens" in each.digests}
    return vocabularies_of(bundle, known)


def _protocol(old: Bundle, new: Bundle, told: tuple[Mapping[str, Any], Mapping[str, Any]]) -> Iterator[str]:
    """What the two say that they were evaluated by, where they differ."""
    recipes = [table_of(each, RECIPE) for each in (old, new)]
    yield from changes_of_protocols(*map(protocols_of, recipes))
    was, now = (data_of(*pair) for pair in zip(recipes, told, strict=True))
    alone = len(was) == len(now) == 1
    for name, digest in now.items():
        other = next(iter(was.values())) if alone else was.get(name)
        if digest and other and digest != other:
            yield "the content of the evaluation data" + ("" if alone else f" of {name}")


def _tools(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    was, now = (each.get("versions") for each in (old, new))
    if not isinstance(was, Mapping) or not isinstance(now, Mapping):
        return {}
    names = sorted(was.keys() | now.keys())
    both = {name: (str(was.get(name, "")), str(now.get(name, ""))) for name in names}
    return {name: pair for name, pair in both.items() if pair[0] != pair[1]}


def _rewrites(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    was, now = _names(old), _names(new)
    return {name: "new" if name in now else "old" for name in sorted(was ^ now)}


def _names(evidence: Mapping[str, Any]) -> set[str]:
    rewrites = evidence.get("rewrites")
    tables = [each for each in rewrites if isinstance(each, Mapping)] if isinstance(rewrites, list) else []
    return {str(each.get("name")) for each in tables}


def _sizes(old: Bundle, new: Bundle) -> Iterator[SizeChange]:
    """Every artifact of either, and under it the tensors whose bytes differ."""
    before, after = weights_of(old), weights_of(new)
    for place in sorted(before.keys() | after.keys()):
        was, now = before.get(place, _Weight()), after.get(place, _Weight())
        yield _size(place, "", was.size_bytes, now.size_bytes)
        names = was.tensors.keys() | now.tensors.keys()
        largest = {name: max(was.tensors.get(name, 0), now.tensors.get(name, 0)) for name in names}
        for tensor in sorted(largest, key=lambda name: (-largest[name], name)):
            one, other = was.tensors.get(tensor), now.tensors.get(tensor)
            if one != other:
                yield _size(place, tensor, one, other)


def _size(place: tuple[str, str], tensor: str, old: int | None, new: int | None) -> SizeChange:
    target, functions = place
    return SizeChange(target=target, function=functions, tensor=tensor, old_bytes=old, new_bytes=new)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Weight:
    """Bytes of an artifact, and of each tensor with its codes, scales and all that belong to it."""

    size_bytes: int | None = None
    tensors: Mapping[str, int] = field(default_factory=dict)


def weights_of(bundle: Bundle) -> dict[tuple[str, str], _Weight]:
    """Target and functions, all that share an artifact with commas, to its bytes.

    Raises:
        ArtifactError: an artifact cannot be read.
    """
    held = functions_in(bundle.manifest.artifacts)
    return {
        (target, ", ".join(sorted(names))): _weighed(bundle.path / path)
        for (target, path), names in held.items()
    }


def _weighed(path: Path) -> _Weight:
    from pocketrec.validate.artifact.sizes import weigh

    size, stored = weigh(path, formats=formats())
    tensors: Counter[str] = Counter()
    for each in stored:
        tensors[each.name.partition("/")[0]] += each.size_bytes
    return _Weight(size_bytes=size, tensors=dict(tensors))
