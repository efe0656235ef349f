"""The recipe that a bundle was built from, found by what it says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pocketrec.errors import PocketrecError, UsageError
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.recipe import Recipe

_ABOVE = 3  # folders above a bundle that are looked into


def find_recipe(bundle: Path) -> Path:
    """The one recipe here, above the bundle, or in the zoo that says what the bundle's does.

    Raises:
        UsageError: there is none, or there are several; names where it was looked for, or all of them.
    """
    from pocketrec.package.bundle import RECIPE, require_bundle
    from pocketrec.package.manifest import read_json

    built = read_json(require_bundle(bundle), RECIPE, Recipe)
    found = list(dict.fromkeys(each.resolve() for each in _candidates(bundle) if _built(each, built)))
    if len(found) == 1:
        return found[0]
    if found:
        several = ", ".join(map(str, found))
        raise UsageError(f"{bundle}: {several} all say what its recipe does; pass one as --recipe")
    raise UsageError(
        f"{bundle}: no recipe named {built.name!r} that says the same in this folder, beside or above the "
        "bundle; pass --recipe recipe.toml"
    )


def _candidates(bundle: Path) -> Iterator[Path]:
    from pocketrec.model_zoo.registry import FAMILIES

    place = bundle.resolve()
    for folder in dict.fromkeys([Path.cwd(), *list(place.parents)[:_ABOVE]]):
        yield from sorted(folder.glob("*.toml"))
    yield from (each.recipe for each in FAMILIES.values())


def _built(path: Path, built: Recipe) -> bool:
    """Whether the recipe is the bundle's in all that makes the model and its interface."""
    try:
        recipe = load_recipe(path)
    except PocketrecError:
        return False  # some other TOML file
    return _said(recipe) == _said(built)


def _said(recipe: Recipe) -> dict[str, object]:
    table = recipe.to_dict()
    return {key: table[key] for key in ("name", "version", "model", "contract", "evaluate", "seed")}
