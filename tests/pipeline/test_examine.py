"""The evidence of a build says what its graphs take for granted, and a gate holds the build to it."""

from __future__ import annotations

import json
from pathlib import Path

from tests.pipeline.test_sources import write

import pocketrec
from pocketrec.pipeline.build import BuildResult

BRANCH = """
    def forward(self, history, age):
        if (age >= 0).all():
            age = age + 1
"""


def build(folder: Path, gates: str) -> BuildResult:
    recipe = write(folder, gates)
    text = (folder / "model.py").read_text().replace("\n    def forward(self, history, age):\n", BRANCH, 1)
    (folder / "model.py").write_text(text)
    return pocketrec.build(recipe, out=folder / "out")


def test_a_branch_that_a_graph_fixed_fails_the_build_and_names_its_line(tmp_path: Path) -> None:
    result = build(tmp_path, "")
    assert not result.passed
    (gate,) = [each for each in result.evidence.gates if each.status == "failed"]
    assert (gate.gate, gate.target) == ("max_assumptions", "onnx")
    assert gate.message.startswith("1 branch on values is fixed, limit at most 0: ")
    assert "model.py:" in gate.message
    written = json.loads((result.path / "evidence" / "evidence.json").read_text())
    assert "max_assumptions" in {each["gate"] for each in written["gates"]}
    assert "max_assumptions" in result.report.read_text()


def test_a_recipe_may_allow_it(tmp_path: Path) -> None:
    assert build(tmp_path, "[gates]\nmax_assumptions = 1\n").passed
