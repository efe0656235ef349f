"""Two releases side by side: what changed for an app, in bytes, and in the tools that made them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pocketrec.contract import Contract
from pocketrec.errors import ArtifactError, UsageError
from pocketrec.package.bundle import RECIPE, Bundle, read_bundle, read_contract, table_of, verify_files
from pocketrec.package.compare.changes import Change, Level, heaviest, ordered
from pocketrec.package.compare.contracts import contract_changes
from pocketrec.package.compare.versions import Bump, bump_of
from pocketrec.package.compare.vocabularies import vocabulary_changes
from pocketrec.package.host.items import Items
from pocketrec.package.vocabularies import vocabularies_of
from pocketrec.pipeline.agreement import EVIDENCE
from pocketrec.pipeline.moved import Moved, moved
from pocketrec.progress import Progress, silent


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """One of the two: `tree_sha256` is that of its manifest."""

    path: Path
    name: str
    version: str
    tree_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SizeChange:
    """Bytes of an artifact, or of a tensor in it where it is named; None where a release has none."""

    target: str
    function: str
    tensor: str
    old_bytes: int | None
    new_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseDiff:
    """What changed from one release to the next.

    Attributes:
        old: the earlier one.
        new: the later one.
        level: of the heaviest change of the contract.
        changes: of contract and vocabularies, what breaks first.
        bump: the version that is due.
        sizes: of artifacts, and of the tensors in them that changed.
        tools: tool to the versions that made the two; only those that differ.
        rewrites: rewrites that only one of the two needed, by name: `old` or `new`.
        protocol: what the two were evaluated by, where it differs; figures of their evidence do not compare.
        ranking: both on one evaluation data, or why not.
    """

    old: Release
    new: Release
    level: Level
    changes: tuple[Change, ...]
    bump: Bump
    sizes: tuple[SizeChange, ...]
    tools: Mapping[str, tuple[str, str]]
    rewrites: Mapping[str, str]
    protocol: tuple[str, ...]
    ranking: Moved

    @property
    def passed(self) -> bool:
        """Whether the later version says what changed."""
        return self.bump.enough


def diff(
    old: Path,
    new: Path,
    *,
    recipe: Path | None = None,
    target: str | None = None,
    progress: Progress = silent,
) -> ReleaseDiff:
    """What changed from the bundle at `old` to the one at `new`.

    Args:
        old: the earlier release.
        new: the later one.
        recipe: the later one's recipe.toml, whose evaluation data both rank; its data factory runs.
        target: whose artifacts rank; by default the first of both that runs everywhere.
        progress: told what is being done.

    Raises:
        UsageError: there is no bundle, or no such target.
        RecipeError: the recipe cannot be read.
        ArtifactError: a file of either is damaged.
    """
    if recipe is None and target is not None:
        raise UsageError(f"target {target!r} ranks nothing without a recipe; pass --recipe, too")
    earlier, later = _checked(old), _checked(new)
    before, after = (read_contract(each) for each in (earlier, later))
    items = _items(earlier, before), _items(later, after)
    found = [*contract_changes(before, after), *vocabulary_changes(before, after, *items)]
    changes = ordered(found)
    progress("comparing", 1, 2)
    level = heaviest(changes)
    identical = earlier.manifest.tree_sha256 == later.manifest.tree_sha256
    told = table_of(earlier, EVIDENCE), table_of(later, EVIDENCE)
    sizes = tuple(_sizes(earlier, later))
    ranking = Moved(reason="not compared: pass --recipe, whose evaluation data both are judged by")
    if recipe is not None:
        pair = (earlier, later), (before, after)
        ranking = moved(*pair, items, changes, recipe, target=target, progress=progress)
    progress("comparing", 2, 2)
    return ReleaseDiff(
        old=_release(earlier),
        new=_release(later),
        level=level,
        changes=changes,
        bump=bump_of(earlier.manifest.version, later.manifest.version, level, identical=identical),
        sizes=sizes,
        tools=_tools(*told),
        rewrites=_rewrites(*told),
        protocol=tuple(_protocol(table_of(earlier, RECIPE), table_of(later, RECIPE))),
        ranking=ranking,
    )


def _checked(path: Path) -> Bundle:
    bundle = read_bundle(path)
    problems = verify_files(bundle)
    if problems:
        raise ArtifactError(f"{path}: {problems[0]}; pull the bundle again")
    return bundle


def _release(bundle: Bundle) -> Release:
    manifest = bundle.manifest
    return Release(
        path=bundle.path, name=manifest.name, version=manifest.version, tree_sha256=manifest.tree_sha256
    )


def _items(bundle: Bundle, contract: Contract) -> dict[str, Items]:
    """The items of the vocabularies that have their tokens in the bundle."""
    known = {name: each for name, each in contract.vocabularies.items() if "tokens" in each.digests}
    return vocabularies_of(bundle, known)


def _protocol(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What the recipes say of evaluation, key by key where they differ."""
    was, now = (
        {**each} if isinstance(each := table.get("evaluate"), Mapping) else {} for table in (old, new)
    )
    for key in sorted(was.keys() | now.keys()):
        if was.get(key) != now.get(key):
            yield f"evaluate.{key}: {was.get(key)!r} → {now.get(key)!r}"


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
    places = {
        (target, function)
        for each in (old, new)
        for target, functions in each.manifest.artifacts.items()
        for function in functions
    }
    for target, function in sorted(places):
        (was, before), (now, after) = (_weighed(each, target, function) for each in (old, new))
        yield SizeChange(target=target, function=function, tensor="", old_bytes=was, new_bytes=now)
        names = before.keys() | after.keys()
        for tensor in sorted(names, key=lambda name: (-max(before.get(name, 0), after.get(name, 0)), name)):
            one, other = before.get(tensor), after.get(tensor)
            if one != other:
                yield SizeChange(
                    target=target, function=function, tensor=tensor, old_bytes=one, new_bytes=other
                )


def _weighed(bundle: Bundle, target: str, function: str) -> tuple[int | None, dict[str, int]]:
    from pocketrec.validate.artifact.sizes import weigh

    path = bundle.manifest.artifacts.get(target, {}).get(function)
    if path is None:
        return None, {}
    size, stored = weigh(bundle.path / path)
    tensors: Counter[str] = Counter()
    for each in stored:
        tensors[each.name.partition("/")[0]] += each.size_bytes  # codes, scales and all that belong to it
    return size, dict(tensors)
