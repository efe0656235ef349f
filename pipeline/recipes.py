"""A recipe as it is built: read, and its targets resolved by the table of targets."""

from __future__ import annotations

from pathlib import Path

from pocketrec.convert.targets import resolve_targets
from pocketrec.errors import RecipeError
from pocketrec.recipe import Recipe, parse_recipe


def load_recipe(path: str | Path) -> Recipe:
    """The recipe in the TOML file at `path`, checked, every default of its targets spelled out.

    Raises:
        RecipeError: naming file and key.
    """
    recipe = parse_recipe(path)
    try:
        return resolve_targets(recipe)
    except RecipeError as error:
        raise RecipeError(f"{path}: {error}") from None
