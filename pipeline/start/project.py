"""The files of a project to start from, written whole or not at all."""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pocketrec import __version__
from pocketrec.errors import UsageError
from pocketrec.files import is_free, whole_folder
from pocketrec.outside import read_text
from pocketrec.package.apps.tree import write_tree
from pocketrec.pipeline.start.explained import as_toml, explained

_PACKAGE = "pocketrec.pipeline.start"
_REFERENCE = re.compile(r'"(pocketrec\.model_zoo\.[\w.]+):(\w+)"')
_WEIGHTS = "weights.safetensors"
_BUILT = frozenset({"__pycache__"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What a project is made from.

    Attributes:
        family: the name of a model of the zoo.
        summary: what it is, in a line.
        paper: where it comes from.
        recipe: its recipe.
        module: the file of its module.
        imported: what that module is imported as.
        train: the function in it that trains the model.
        weights: its trained weights; not there where they are to be trained.
        data: the data set that it is trained on.
    """

    family: str
    summary: str
    paper: str
    recipe: Path
    module: Path
    imported: str
    train: str
    weights: Path
    data: str


def start_project(start: Start, folder: Path) -> tuple[Path, ...]:
    """The files of the new project in `folder`, which may be there if it is empty.

    Raises:
        UsageError: there is something in the folder.
    """
    check_free(folder)
    name = project_name(folder)
    text = read_text(start.recipe)
    used = _used(text, start.imported)
    recipe = explained(_own(text, start, name))
    context = {
        "name": name,
        "family": start.family,
        "summary": start.summary,
        "paper": start.paper,
        "data": start.data,
        "train": start.train,
        "version": __version__,
        "imports": {module: sorted(names) for module, names in sorted(used.items())},
        "trained": start.weights.is_file(),
    }
    with whole_folder(folder) as made:
        write_tree(made, _PACKAGE, context, filters={}, built=_BUILT)
        (made / "recipe.toml").write_text(recipe, encoding="utf-8")
        shutil.copyfile(start.module, made / "model.py")
        if start.weights.is_file():
            shutil.copyfile(start.weights, made / _WEIGHTS)
    return tuple(sorted(each for each in folder.rglob("*") if each.is_file()))


def project_name(folder: Path) -> str:
    """The name of a project in that folder, as artifacts can be called."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.resolve().name.lower()).strip("-")
    return name or "recommender"


def check_free(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise UsageError(f"{folder} is no folder; pass a new one")
    if folder.is_dir() and not is_free(folder):
        raise UsageError(f"{folder} is not empty, and nothing in it is replaced; pass a new folder")
    if not folder.parent.is_dir():
        raise UsageError(f"{folder.parent} is not there; create it, or pass another folder")


def _used(text: str, own: str) -> dict[str, set[str]]:
    """The functions of the zoo that the recipe names, by module; but those of `own`, which is copied."""
    found: dict[str, set[str]] = {}
    for module, name in _REFERENCE.findall(text):
        if module != own:
            found.setdefault(module, set()).add(name)
    return found


def _own(text: str, start: Start, name: str) -> str:
    """The recipe with what it names in the project's own folder."""
    lines = {
        "name": as_toml(name),
        "version": '"0.1.0"',
        "weights": as_toml(_WEIGHTS),
        "trained_by": '"python train.py"',
    }
    text = _REFERENCE.sub(
        lambda named: f'"{"model" if named[1] == start.imported else "data"}.py:{named[2]}"', text
    )
    text = re.sub(r"^trained_by = .*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^(weights = .*)$", r'\1\ntrained_by = ""', text, count=1, flags=re.MULTILINE)
    return _with(text, lines)


def _with(text: str, lines: Mapping[str, str]) -> str:
    """The text in which the first line of each key has that value."""
    for key, value in lines.items():
        found = re.search(rf"^{key} = .*$", text, flags=re.MULTILINE)
        if found is not None:
            text = f"{text[: found.start()]}{key} = {value}{text[found.end() :]}"
    return text
