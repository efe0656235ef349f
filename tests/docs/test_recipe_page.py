"""No key of a recipe is without a sentence and an example, and examples are read by the real reader."""

from __future__ import annotations

import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.docs.recipe_page import recipe_page, type_of
from tests.docs.tables import ORDER, RECIPES, Key, examples, keys, places, recipes
from tests.docs.words import WORDS

from pocketrec.contract import Signature
from pocketrec.errors import RecipeError
from pocketrec.pipeline.recipes import load_recipe
from pocketrec.pipeline.start.explained import as_toml
from pocketrec.quantize.schemes import scheme_from_table
from pocketrec.recipe import Compress, Gates, Latency, Recipe, Target
from pocketrec.schema import described


def wanting(every: list[Key], found: Mapping[Key, Any]) -> list[str]:
    """The keys that have no sentence, or no example."""
    silent = [each for each in every if not described(each.table)[1].get(each.name)]
    bare = [each for each in every if each not in found]
    return [f"{each.table.__name__}.{each.name}" for each in (*silent, *bare)]


def test_every_key_has_a_sentence_and_an_example() -> None:
    assert wanting(keys(), examples()) == []


def test_a_key_without_sentence_or_example_is_found() -> None:
    @dataclass
    class Silent:
        """A table.

        Attributes:
            told: has a sentence.
        """

        told: int = 0
        untold: int = 0

    every = [Key(Silent, "told"), Key(Silent, "untold")]
    assert wanting(every, {every[1]: 1}) == ["Silent.untold", "Silent.told"]


@pytest.mark.parametrize("path", recipes(), ids=lambda path: str(path.stem))
def test_an_example_recipe_is_read_by_the_reader_of_recipes(path: Path) -> None:
    compress = load_recipe(path).compress
    for name, table in compress.tensors.items():
        assert scheme_from_table(table, source=path.name, key=name).scheme == table["scheme"]


def test_a_wrong_example_is_refused(tmp_path: Path) -> None:
    text = (RECIPES / "ranking.toml").read_text(encoding="utf-8")
    path = tmp_path / "recipe.toml"
    path.write_text(text.replace("warmup = 20", "warm_up = 20"), encoding="utf-8")
    with pytest.raises(RecipeError, match="did you mean 'warmup'"):
        load_recipe(path)


def test_every_example_recipe_gives_examples() -> None:
    assert sorted(ORDER) == sorted(path.stem for path in RECIPES.iterdir())


def test_a_value_is_shown_as_the_toml_that_gives_it_back() -> None:
    for key, value in examples().items():
        assert tomllib.loads(f"{key.name} = {as_toml(value)}") == {key.name: value}
    odd = {"a b": 'say "no"\\', "c": [True, 1e-05, 2**31], "d": {}}
    assert tomllib.loads(f"odd = {as_toml(odd)}") == {"odd": odd}


def test_every_word_of_the_contract_is_explained() -> None:
    for each in WORDS:
        assert list(each.meanings) == list(typing.get_args(each.kind)), each.key


def test_tables_stand_where_a_recipe_has_them() -> None:
    headers = [header for _, header in places()]
    assert headers[0] == ""
    for header in (
        "[contract.functions.NAME]",
        "[[contract.functions.NAME.inputs]]",
        "[contract.vocabularies.NAME.tokenizer]",
        "[gates.compression]",
        "[gates.versus.slices.NAME]",
        "[targets.NAME]",
    ):
        assert header in headers


@pytest.mark.parametrize(
    ("table", "name", "shown"),
    [
        (Recipe, "name", "text"),
        (Gates, "max_size_mb", "number, or table of numbers"),
        (Signature, "outputs", "list of [tables](#contractfunctionsnameoutputs)"),
        (Target, "compute_units", '`"all"` `"cpu_only"` `"cpu_and_gpu"` `"cpu_and_neural_engine"`'),
        (Compress, "float_layers", "list of texts"),
        (Latency, "runs", "whole number"),
    ],
)
def test_types_are_told_in_words(table: Any, name: str, shown: str) -> None:
    headers: dict[Any, list[str]] = {}
    for cls, header in places():
        headers.setdefault(cls, []).append(header)
    assert type_of(typing.get_type_hints(table)[name], headers) == shown


def test_ranges_and_defaults_stand_beside_the_keys() -> None:
    rows = {line.split("|")[1].strip(" `"): line for line in recipe_page().splitlines() if "|" in line}
    assert "number, 10 to 200 | `40.0` |" in rows["min_sqnr_db"]
    assert "| `latency` | [table](#latency) | its defaults | How latency is measured. | `[latency]` |" in (
        recipe_page().splitlines()
    )
