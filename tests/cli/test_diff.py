"""`pocketrec diff`: two releases of the first release's bundle, altered as a retraining alters one."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from tests.cli.conftest import Run

from pocketrec.package.bundle import read_bundle, seal

FIRST = Path(__file__).parents[1] / "fixtures" / "first" / "mean"
Alter = Callable[[Sequence[str]], Sequence[str]]


@pytest.fixture
def released(tmp_path: Path) -> Callable[..., Path]:
    """The first release with its words altered, under a version of its own."""

    def release(version: str, alter: Alter = lambda words: words) -> Path:
        place = shutil.copytree(FIRST, tmp_path / version)
        words = place / "vocabularies" / "item.txt"
        text = "".join(f"{each}\n" for each in alter(words.read_text().splitlines()))
        words.write_text(text)
        contract = json.loads((place / "contract.json").read_text())
        contract["vocabularies"]["item"]["sha256"] = hashlib.sha256(text.encode()).hexdigest()
        (place / "contract.json").write_text(json.dumps(contract))
        artifacts = read_bundle(FIRST).manifest.artifacts
        seal(place, name="mean", version=version, artifacts=artifacts)
        return place

    return release


def test_a_reordered_vocabulary_breaks_and_exits_with_1(
    pocketrec: Run, released: Callable[..., Path]
) -> None:
    def swapped(words: Sequence[str]) -> Sequence[str]:
        return [*words[:2], words[3], words[2], *words[4:]]

    done = pocketrec("diff", released("1.0.0"), released("1.1.0", swapped))
    assert done.returncode == 1
    assert "breaking  vocabulary item  2 moved" in done.stdout
    assert "ids that an app has stored mean other items" in done.stdout
    assert done.stderr.endswith(
        "failed: a major version is due: 2.0.0, and it is 1.1.0; set version = '2.0.0' in the recipe\n"
    )
    assert pocketrec("diff", released("1.0.1"), released("2.0.0", swapped)).returncode == 0


def test_the_same_model_under_the_next_version_passes(pocketrec: Run, released: Callable[..., Path]) -> None:
    done = pocketrec("diff", released("1.0.0"), released("1.0.1"), "--json")
    found = json.loads(done.stdout)
    assert done.returncode == 0
    assert (found["passed"], found["level"], found["changes"]) == (True, "same", [])
    assert [each["old_bytes"] == each["new_bytes"] for each in found["sizes"]] == [True] * len(found["sizes"])


def test_a_damaged_bundle_is_compared_with_nothing(pocketrec: Run, released: Callable[..., Path]) -> None:
    old, new = released("1.0.0"), released("1.0.1")
    words = new / "vocabularies" / "item.txt"
    words.write_text(words.read_text() + "more\n")
    done = pocketrec("diff", old, new)
    assert done.returncode == 1
    assert "vocabularies/item.txt: altered" in done.stderr
    assert "version" not in done.stdout


def test_what_is_no_bundle_is_one_line(pocketrec: Run, released: Callable[..., Path], tmp_path: Path) -> None:
    done = pocketrec("diff", released("1.0.0"), tmp_path / "nowhere")
    assert done.returncode == 2
    assert "nowhere: no such folder; pass the path of a bundle" in done.stderr
