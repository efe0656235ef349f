"""docs/lists.md in Swift: what the command line and TypeScript print, an app's packages print, too."""

from __future__ import annotations

import importlib
import re
from dataclasses import replace
from pathlib import Path

import pytest
from tests.docs.page import DOCS
from tests.swift.pages import follow, steps
from tests.swift.toolchain import swift_is_there

import pocketrec
from pocketrec.evaluation import RankingData
from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.recipe import Recipe

PAGE = (DOCS / "lists.md").read_text(encoding="utf-8")
BEFORE, SWIFT = PAGE.split("## Swift")
TARGET = "coreml_fp32"


def listed(text: str) -> list[str]:
    """The lines of lists in what a program prints: place, token, title, score."""
    return re.findall(r"^\d+ \d+ .+ \d\.\d{4}$", text, re.MULTILINE)


def test_the_page_shows_the_same_lists_for_both_languages() -> None:
    shown = [line for command, printed in steps(BEFORE) if "node" in command for line in listed(printed)]
    assert len(shown) == 8
    assert listed(steps(SWIFT)[-1][1]) == shown


def few_queries() -> RankingData:
    """The first of the films' queries: the whole evaluation takes the interpreter long, and is the zoo's."""
    module, function = load_recipe(FAMILIES["hybrid"].recipe).evaluate[0].data.split(":")
    data: RankingData = getattr(importlib.import_module(module), function)()
    return next(iter(data.parts(32)))


@pytest.fixture
def bundles(tmp_path: Path) -> Path:
    """A folder with the two bundles that the page has been given; not run where the encoder is not here."""
    hybrid = FAMILIES["hybrid"]
    if not hybrid.weights.is_file():
        pytest.skip("not run: `pocketrec zoo train hybrid` makes the weights")
    recipe = load_recipe(hybrid.recipe)
    small = replace(
        recipe,
        model=replace(recipe.model, weights=str(hybrid.weights)),
        evaluate=(replace(recipe.evaluate[0], data=f"{__name__}:few_queries"),),
    )
    made: dict[str, Recipe | Path] = {"hybrid": small, "sasrec": FAMILIES["sasrec"].recipe}
    for name, each in made.items():
        assert pocketrec.build(each, out=tmp_path / f"build/{name}-coreml", targets=(TARGET,)).passed
    return tmp_path


@pytest.mark.swift
def test_an_app_prints_the_lists_that_the_page_shows(bundles: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if not swift_is_there():
        pytest.skip("not run: no Swift is here")
    monkeypatch.chdir(bundles)
    follow(SWIFT, bundles)
