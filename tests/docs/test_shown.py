"""What pages show of the zoo's SASRec is run: in one folder, with the files that the pages speak of."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tests.docs.page import DOCS, ROOT, Untrue, files, try_page
from tests.web.workshop import install_tools

import pocketrec
from pocketrec.model_zoo.registry import FAMILIES

LISTS = (DOCS / "lists.md").read_text(encoding="utf-8")

# Its page says so: units did not come as they were assigned.
FAILS = {"pocketrec experiment ratio --observed control=821588 --observed int4=815482"}

# Of a bundle whose weights come with a package of its own; tests/cli/test_search.py runs it on another.
ELSEWHERE = re.compile(r"^\$ .* build/minilm .*\n", re.MULTILINE)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two bundles, a log, users and an experiment."""
    folder = tmp_path_factory.mktemp("shown")
    recipe = ROOT / "model_zoo/recipes/sasrec.toml"
    assert pocketrec.build(recipe, out=folder / "build/sasrec", targets=("onnx",)).passed
    shutil.copytree(folder / "build/sasrec", folder / "build/sasrec-int4")
    (folder / "users.txt").write_text("user-17\nuser-18\n")
    experiments = (DOCS / "experiments.md").read_text(encoding="utf-8")
    (experiment,) = re.findall(r"^```toml\n(.*?)^```$", experiments, re.DOTALL | re.MULTILINE)
    (folder / "experiment.toml").write_text(experiment, encoding="utf-8")
    pq.write_table(pa.table(log()), folder / "log.parquet")
    return folder


def log() -> dict[str, np.ndarray[tuple[int], np.dtype[np.float64]]]:
    """Rounds of two actions, of which the judged policy prefers the one that earns more."""
    rng = np.random.default_rng(0)
    good = rng.random(20_000) < 0.5
    target, predicted = np.where(good, 0.9, 0.1), np.where(good, 0.3, 0.1)
    return {
        "reward": (rng.random(20_000) < predicted).astype(np.float64),
        "propensity": np.full(20_000, 0.5),
        "target": target,
        "predicted": predicted,
        "expected": np.full(20_000, 0.9 * 0.3 + 0.1 * 0.1),
    }


@pytest.mark.docs
@pytest.mark.parametrize("page", ["apps", "report", "score", "experiments"])
def test_a_page_can_be_followed(place: Path, page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROWSER", "true")  # what opens the report
    text = ELSEWHERE.sub("", (DOCS / f"{page}.md").read_text(encoding="utf-8"))
    assert try_page(text, place, fails=FAILS) > 0


@pytest.fixture
def npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An npm whose `ci` takes what the committed lock file names from where it is installed already."""
    found = shutil.which("npm")
    if shutil.which("node") is None or found is None:
        pytest.skip("not run: node and npm are not here")
    tools = install_tools(ROOT / "build" / "web").resolve()
    shim = tmp_path / "npm"
    shim.write_text(f'#!/bin/sh\n[ "$1" = ci ] && exec ln -sfn {tools} node_modules\nexec {found} "$@"\n')
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")


@pytest.fixture
def with_hybrid(place: Path) -> None:
    """The zoo's search beside the other bundles; its evaluation takes two minutes."""
    if not FAMILIES["hybrid"].weights.is_file():
        pytest.skip("not run: `pocketrec zoo train hybrid` makes the weights")
    assert pocketrec.build(FAMILIES["hybrid"].recipe, out=place / "build/hybrid", targets=("onnx",)).passed


@pytest.mark.docs
@pytest.mark.usefixtures("npm")
def test_the_command_line_and_node_print_the_list_that_the_page_shows(place: Path) -> None:
    recommend, _ = LISTS.split("## Search")
    assert try_page(recommend, place) > 0
    last = recommend[recommend.rindex("```console") :].replace("4 181 Return", "4 117 Return")
    with pytest.raises(Untrue, match=r"node recommend\.mjs prints"):
        try_page(last, place)


@pytest.mark.docs
@pytest.mark.usefixtures("npm", "with_hybrid")
def test_the_command_line_and_node_find_the_films_that_the_page_shows(place: Path) -> None:
    (place / "served.mjs").write_text(files(LISTS)["served.mjs"], encoding="utf-8")
    search, _ = LISTS.split("## Search")[1].split("## Swift")  # tests/swift has what follows
    assert try_page(search, place) > 0
