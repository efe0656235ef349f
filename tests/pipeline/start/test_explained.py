"""An explained recipe says the same as before, and has every key of every kind of table that it holds."""

from __future__ import annotations

import re
import tomllib

import pytest

from pocketrec.model_zoo.registry import FAMILIES
from pocketrec.pipeline.start.explained import as_toml, explained
from pocketrec.recipe import Gates, ModelSource, Recipe, Target
from pocketrec.schema import fields_of


@pytest.mark.parametrize("name", FAMILIES)
def test_the_values_are_as_they_were(name: str) -> None:
    text = FAMILIES[name].recipe.read_text(encoding="utf-8")
    assert tomllib.loads(explained(text)) == tomllib.loads(text)


def test_every_key_stands_there_stated_or_as_a_comment() -> None:
    text = explained(FAMILIES["sasrec"].recipe.read_text(encoding="utf-8"))
    stated = set(re.findall(r"^(?:# )?(\w+) =", text, re.MULTILINE))
    tables = set(re.findall(r"^(?:# )?\[+([^\]]+)\]", text, re.MULTILINE))
    for cls in (ModelSource, Target, Gates):
        assert set(fields_of(cls)) <= stated | {"slices", "compression", "versus"}
    assert {name for name in fields_of(Recipe) if name not in stated} <= {
        each.split(".")[0] for each in tables
    }


def test_a_table_is_explained_where_its_kind_stands_first() -> None:
    text = explained(FAMILIES["dlrm"].recipe.read_text(encoding="utf-8"))
    assert text.count("# the input's name in every artifact.") == 1
    assert text.count("[[contract.functions.main.inputs]]") == 9


def test_a_key_of_a_users_own_is_left_alone() -> None:
    text = '[model]\nfactory = "m.py:make"\n\n[model.arguments]\nwidth = 3\n'
    assert tomllib.loads(explained(text)) == tomllib.loads(text)
    assert "width = 3" in explained(text)


@pytest.mark.parametrize("value", [True, 3, 1.5, 'a "b" \\c', [1, 2], {"min": 1, "a b": "x"}])
def test_a_value_is_read_back_as_it_was(value: object) -> None:
    assert tomllib.loads(f"key = {as_toml(value)}") == {"key": value}


@pytest.mark.parametrize(
    "text", ['a "b" \\ c', "tab\tline\nend\x00\x1b\x7f\x80", "\u65e5\u672c \U0001f4da", ""]
)
def test_any_text_is_the_same_when_it_is_read_again(text: str) -> None:
    assert tomllib.loads(f"key = {as_toml(text)}") == {"key": text}
