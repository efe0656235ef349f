"""A recipe's metrics, lengths and slices reach the evidence, the gates and the reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.mean import MODEL, RECIPE, write_mean

import pocketrec
from pocketrec.pipeline.build import BuildResult
from pocketrec.pipeline.verify import verify

ASKED = """
k = [3, 5]
metrics = ["mrr"]
[evaluate.slices.users]
by = "history"
min_examples = 10
[evaluate.slices.land]
by = "land"
min_examples = 10
[evaluate.slices.items]
by = "popularity"
min_examples = 10
[gates.slices.users]
max_ndcg_drop = 0.01
[gates.slices."land: fr"]
max_ndcg_drop = 0.01
"""
DATA = "positives=rng.integers(1, 30, 24), columns={'land': np.array(['de'] * 4 + ['fr'] * 20)}"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> BuildResult:
    folder = tmp_path_factory.mktemp("evidence")
    recipe = RECIPE.replace('output = "scores"\n', f'output = "scores"{ASKED}')
    model = MODEL.replace("positives=rng.integers(1, 30, 24)", DATA)
    return pocketrec.build(write_mean(folder, model=model, recipe=recipe), out=folder / "mean")


def test_every_metric_length_and_slice_is_in_the_evidence(built: BuildResult) -> None:
    table: Any = json.loads((built.path / "evidence" / "evidence.json").read_text())
    assert table["schema"] == 1
    (ranking,) = [each["ranking"] for each in table["results"] if each["target"] == "onnx"]
    assert [each["metric"] for each in ranking["changes"]] == [
        f"{name}@{k}" for k in (3, 5) for name in ("hr", "ndcg", "mrr")
    ]
    assert all(each["intervals"][0]["confidence"] == 0.95 for each in ranking["changes"])
    sizes = {f"{each['division']}: {each['label']}": each["examples"] for each in ranking["slices"]}
    assert (sizes["users: warm"], sizes["users: cold"], sizes["land: de"], sizes["land: fr"]) == (
        24,
        0,
        4,
        20,
    )
    assert sum(size for name, size in sizes.items() if name.startswith("items")) == 24
    assert [each["k"] for each in ranking["lists"]] == [3, 5]
    assert ranking["lists"][0]["coverage"][0] == ranking["lists"][0]["coverage"][1] > 0


def test_gates_on_slices_passed_and_small_ones_are_named(built: BuildResult) -> None:
    assert built.passed
    found = {each.gate: each.status for each in built.evidence.gates if " of " in each.gate}
    assert found == {
        "max_ndcg_drop of users: cold": "skipped",
        "max_ndcg_drop of users: warm": "passed",
        "max_ndcg_drop of land: fr": "passed",
    }
    assert verify(built.path).passed


def test_the_page_shows_intervals_slices_and_lists(built: BuildResult) -> None:
    text = (built.path / "evidence" / "report.html").read_text()
    for each in ("95 % interval", "Slices; intervals hold together (Holm)", "land: fr", "too few to gate"):
        assert each in text
    assert "Lists, before and after" in text
    assert "Lists before and after" in text
    for name in ("report.html", "report.md"):
        told = (built.path / "evidence" / name).read_text().replace("\\", "")
        assert "too small to be gated, and shown only: users: cold (0), land: de (4)" in told


def test_a_slice_without_its_column_fails_before_anything_is_converted(tmp_path: Path) -> None:
    recipe = RECIPE.replace('output = "scores"\n', f'output = "scores"{ASKED}')
    path = write_mean(tmp_path, recipe=recipe)
    with pytest.raises(pocketrec.errors.DataError, match="no column 'land' of one value per example"):
        pocketrec.build(path, out=tmp_path / "mean")
