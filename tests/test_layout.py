"""The lists that must agree: links, wheel map, pyright's folders, ruff's banned names."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pocketrec.model_zoo.family import Family
from pocketrec.model_zoo.registry import FAMILIES

ROOT = Path(__file__).parent.parent
OWN = ROOT / "src" / "pocketrec"


def links() -> set[str]:
    return {path.name for path in OWN.iterdir() if path.is_symlink()}


def own_files() -> set[str]:
    """Of the package itself and of its own folders, not of those that are linked."""
    own = [path for path in OWN.iterdir() if not path.is_symlink()]
    files = [path for path in own if path.is_file()] + [path for each in own for path in each.rglob("*.*")]
    return {str(path.relative_to(OWN)) for path in files if path.suffix in (".py", ".json", ".typed")}


def disagreements(project: Mapping[str, Any], folders: set[str]) -> list[str]:
    tool = project["tool"]
    wheel, sdist = (tool["hatch"]["build"]["targets"][name] for name in ("wheel", "sdist"))
    sources = wheel["sources"]
    lists = {
        "only-include": {each for each in wheel["only-include"] if "/" not in each},
        "wheel's exclude": {each.removeprefix("src/pocketrec/") for each in wheel["exclude"]},
        "sources": {each for each in sources if each != "src/pocketrec"},
        "sdist": set(sdist["only-include"]) & folders,
        "sdist's exclude": {each.removeprefix("src/pocketrec/") for each in sdist["exclude"]},
        "pyright": {each.rpartition("/")[2] for each in tool["pyright"]["include"]} - {"*.py"},
        "ruff": set(tool["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]),
    }
    found = [f"{name}: {sorted(given ^ folders)}" for name, given in lists.items() if given != folders]
    found += [f"sources: {name}" for name in lists["sources"] if sources[name] != f"pocketrec/{name}"]
    return found


@pytest.fixture
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_lists_agree(project: dict[str, Any]) -> None:
    assert disagreements(project, links()) == []


def test_links_are_relative_and_lead_to_the_folders() -> None:
    for name in links():
        link = OWN / name
        assert str(link.readlink()) == f"../../{name}"
        assert (link / "__init__.py").is_file()


def test_a_folder_or_file_that_one_list_lacks_is_found(project: dict[str, Any]) -> None:
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
    wheel["only-include"].remove("validate")
    wheel["sources"]["cli"] = "cli"
    project["tool"]["pyright"]["include"].remove("src/pocketrec/package")
    del project["tool"]["ruff"]["lint"]["flake8-tidy-imports"]["banned-api"]["convert"]
    wheel["exclude"].remove("src/pocketrec/source")
    found = disagreements(project, links())
    assert found == [
        "only-include: ['validate']",
        "wheel's exclude: ['source']",
        "pyright: ['package']",
        "ruff: ['convert']",
        "sources: cli",
    ]


def test_the_constraints_pin_every_direct_dependency(project: dict[str, Any]) -> None:
    pinned = {
        line.partition("==")[0].lower()
        for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    extras = project["project"]["optional-dependencies"]
    of_extras = [each for name in ("build", "dev", "web", "sign", "docs") for each in extras[name]]
    asked = [*project["project"]["dependencies"], *of_extras]
    assert {re.split(r"[\[>]", each)[0].lower() for each in asked} <= pinned


def made_by_training() -> list[Family]:
    """The families whose weights do not come along, and lie here where somebody trained them."""
    return [each for each in FAMILIES.values() if not each.committed]


def test_a_wheel_from_the_sdist_holds_every_module_under_one_name(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)]
    subprocess.run(command, capture_output=True, check=True)
    (wheel,) = tmp_path.glob("*.whl")
    held = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    modules = {f"pocketrec/{name}" for name in own_files()}
    for name in links():
        found = (
            path.relative_to(ROOT)
            for path in (ROOT / name).rglob("*")
            if "__pycache__" not in path.parts and not path.parent.name.endswith(".training")
        )
        modules |= {f"pocketrec/{path}" for path in found if (ROOT / path).is_file()}
    trained_here = {f"pocketrec/model_zoo/weights/{each.weights.name}" for each in made_by_training()}
    assert held == modules - trained_here
