"""The user's functions are called and told of with their lines; a vocabulary's file is held as its digest."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pocketrec import workers
from pocketrec.contract import Vocabulary
from pocketrec.errors import RecipeError
from pocketrec.source import factory
from pocketrec.source.factory import call_factory, load_vocabulary


@pytest.mark.parametrize("text", ["a\nbé\nc\n", "a\r\nbé\r\nc", "a\rbé\rc", "\ufeffa\nbé\nc\n"])
def test_a_file_is_the_vocabulary_of_its_lines(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(factory, "_CHUNK", 2)
    (tmp_path / "items.txt").write_text(text, encoding="utf-8", newline="")
    found = load_vocabulary("items.txt", base=tmp_path, key="tokens")
    held = Vocabulary(tokens=("a", "bé", "c"))
    assert found.size == held.size == 3
    assert found.sha256() == held.sha256()
    assert b"".join(found.chunks()) == held.to_bytes()


def test_a_file_that_is_no_text_is_named_with_its_key(tmp_path: Path) -> None:
    (tmp_path / "items.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(RecipeError, match=r"tokens is 'items.txt'; expected a UTF-8 text file or a factory"):
        load_vocabulary("items.txt", base=tmp_path, key="tokens")


def write(folder: Path, **files: str) -> Path:
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    return folder


def called(folder: Path, spec: str = "model.py:make", **arguments: object) -> object:
    return call_factory(spec, base=folder, key="model.factory", arguments=arguments)


def test_a_file_imports_what_lies_beside_it_and_the_path_is_as_before(tmp_path: Path) -> None:
    """At its top and while its function runs; another recipe's sibling of the same name is its own."""
    text = "import helper_of_recipe as h\ndef make():\n    import late_of_recipe as o\n    return h.N, o.N\n"
    before = list(sys.path)
    for number in (1, 2):
        folder = write(
            tmp_path / f"recipe{number}",
            model=text,
            helper_of_recipe=f"N = {number}\ndef own():\n    return N\n",
            late_of_recipe=f"N = {10 * number}\n",
        )
        assert called(folder) == (number, 10 * number)
        assert called(folder, "helper_of_recipe:own") == number
        assert sys.path == before
    assert {"helper_of_recipe", "late_of_recipe"} <= {each.__name__ for each in workers.user_modules()}


def test_what_is_installed_is_not_hidden_by_what_lies_beside(tmp_path: Path) -> None:
    folder = write(
        tmp_path, model="import json\ndef make():\n    return json.dumps([])\n", json="raise OSError\n"
    )
    assert called(folder) == "[]"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "def make():\n    x = 1\n    return x.size\n",
            r"raised AttributeError at .*model\.py:3: 'int'",
        ),
        (
            "import nothing_like_it\n",
            r"running .*model\.py raised ModuleNotFoundError at .*model\.py:1: ",
        ),
        ("def make(:\n", r"running .*model\.py raised SyntaxError at .*model\.py:1: "),
        (
            "import sys\ndef make():\n    sys.exit(0)\n",
            r"= 'model\.py:make' ended the process: SystemExit at .*model\.py:3: 0; return a value",
        ),
        ("import sys\nsys.exit()\n", r"ended the process: SystemExit at .*model\.py:2: "),
        (
            "from inner import go\ndef make():\n    return go()\n",
            r"= 'model\.py:make' raised ValueError at .*inner\.py:2: too small",
        ),
    ],
)
def test_what_a_factory_raises_names_file_and_line(text: str, message: str, tmp_path: Path) -> None:
    folder = write(tmp_path, model=text, inner="def go():\n    raise ValueError('too small\\nmore')\n")
    with pytest.raises(RecipeError, match=message) as caught:
        called(folder)
    assert str(caught.value).startswith("model.factory")


def test_arguments_that_the_function_does_not_take_are_told_by_its_parameters(tmp_path: Path) -> None:
    folder = write(tmp_path, model="def make(items, width=2):\n    return items * width\n")
    assert called(folder, items=3) == 6
    with pytest.raises(RecipeError, match=r"argument 'itms'; it takes items, width, so correct model\.arg"):
        called(folder, items=3, itms=3)
    with pytest.raises(RecipeError, match=r"= 'model\.py:make': missing a required argument: 'items'"):
        called(folder)


@pytest.mark.parametrize("spec", [".:make", "..model:make", ":make", "model.py:", "model.py"])
def test_a_spec_that_leads_nowhere_says_what_one_looks_like(spec: str, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"expected 'package\.module:function' or 'file\.py:function'"):
        called(tmp_path, spec)
