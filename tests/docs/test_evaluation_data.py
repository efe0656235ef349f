"""docs/evaluation-data.md is true: its Python prints what it shows, and its recipes build."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from tests.docs.page import DOCS, files, try_page

from pocketrec.recipe import Recipe
from pocketrec.schema import from_table

PAGE = (DOCS / "evaluation-data.md").read_text(encoding="utf-8")


def test_its_python_prints_what_it_shows(tmp_path: Path) -> None:
    assert try_page(PAGE, tmp_path, commands=False) > 10


def test_its_recipes_are_read() -> None:
    recipes = {name: text for name, text in files(PAGE).items() if name.endswith(".toml")}
    found = {from_table(Recipe, tomllib.loads(text), source=name).name for name, text in recipes.items()}
    assert found == {"shop", "clicks"}


@pytest.mark.docs
def test_from_an_import_to_both_builds(tmp_path: Path) -> None:
    try_page(PAGE, tmp_path)
