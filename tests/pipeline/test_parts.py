"""A build that was killed goes on where it was, and ends with what an undisturbed one ends with."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.mean import model_of, recipe_of, write_mean

from pocketrec.pipeline.build import BuildResult, build

QUALITY = "onnx on onnxruntime: quality"
PARTS = 5  # of 1,024 users
KILLED = """
import os, signal, sys
from pocketrec.pipeline.build import build

def progress(stage, done, total):
    if (stage, done) == ("onnx on onnxruntime: quality", 2):
        os.kill(os.getpid(), signal.SIGKILL)

build(sys.argv[1], out=sys.argv[2], progress=progress)
"""

# In a process of its own as well: modules of other recipes in this one would count as the model's code.
AGAIN = """
import json, sys
from pathlib import Path
from pocketrec.pipeline.build import build

seen = {}
def progress(stage, done, total):
    if (stage, done) == ("onnx on onnxruntime: quality", int(sys.argv[3])):
        parts = Path(sys.argv[2] + ".parts").glob("*/*.part")
        seen.update({f"{each.parent.name}/{each.name}": each.stat().st_ino for each in parts})

made = build(sys.argv[1], out=sys.argv[2], progress=progress)
evidence = json.loads(made.evidence.to_json())
print(json.dumps({"parts": made.parts, "seen": seen, "tree": made.tree_sha256, "evidence": evidence}))
"""


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recipe")
    return write_mean(folder, model=model_of(users=5_000), recipe=recipe_of(batch=256))


@pytest.fixture(scope="module")
def undisturbed(recipe: Path) -> BuildResult:
    return build(recipe, out=recipe.with_name("undisturbed"))


def files(folder: Path) -> dict[str, int]:
    """Every part with its inode, which is another one where it was written again."""
    return {f"{each.parent.name}/{each.name}": each.stat().st_ino for each in folder.glob("*/*.part")}


def told(result: BuildResult) -> Any:
    """The evidence without times."""
    return untimed_of(json.loads(result.evidence.to_json()))


def untimed_of(evidence: dict[str, Any]) -> Any:
    """A build's evidence without times."""

    def untimed(value: Any) -> Iterator[tuple[str, Any]]:
        for key, each in value.items():
            if key not in ("latency", "created", "load_ms"):
                yield key, dict(untimed(each)) if isinstance(each, dict) else each

    evidence["results"] = [dict(untimed(each)) for each in evidence["results"]]
    return dict(untimed(evidence))


@pytest.mark.long  # two processes that each load and convert
def test_a_killed_build_goes_on_and_ends_with_the_same_evidence(
    recipe: Path, undisturbed: BuildResult, tmp_path: Path
) -> None:
    out = tmp_path / "mean"
    done = subprocess.run([sys.executable, "-c", KILLED, recipe, out], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    before = files(tmp_path / "mean.parts")
    assert len(before) == PARTS + 2

    command = [sys.executable, "-c", AGAIN, str(recipe), str(out), str(PARTS)]
    again = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
    assert again["parts"] == {"reused": PARTS + 2, "computed": PARTS - 2}
    assert len(again["seen"]) == 2 * PARTS
    assert again["seen"].items() >= before.items(), "no finished part was written again"
    assert untimed_of(again["evidence"]) == told(undisturbed)
    assert again["tree"] == undisturbed.tree_sha256
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mean"]


def test_an_interrupted_build_says_that_it_goes_on_and_a_damaged_part_is_noted(
    recipe: Path, undisturbed: BuildResult, tmp_path: Path
) -> None:
    def progress(stage: str, done: int, total: int) -> None:
        if (stage, done) == (QUALITY, 1):
            raise KeyboardInterrupt

    out, parts = tmp_path / "mean", tmp_path / "elsewhere"
    with pytest.raises(KeyboardInterrupt) as interrupt:
        build(recipe, out=out, progress=progress, parts=parts)
    assert interrupt.value.__notes__ == [
        f"finished parts are kept in {parts}; the same command goes on from there"
    ]
    (place,) = parts.glob("*/1024-2048.part")
    place.write_bytes(place.read_bytes()[:-1])
    again = build(recipe, out=out, parts=parts)
    assert again.parts == {"reused": PARTS, "computed": PARTS}
    note = "A finished part was damaged, and was computed anew: 1024-2048.part"
    assert note in again.evidence.notes
    expected = told(undisturbed)
    assert told(again) == {**expected, "notes": [*expected["notes"], note]}
    assert not parts.exists()
