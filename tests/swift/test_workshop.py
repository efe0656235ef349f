"""A changed weight has to fail the comparisons, and them alone; a package that is not built is no proof."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.swift import workshop
from tests.swift.packages import write_scores
from tests.swift.toolchain import ROOT
from tests.swift.totals import Outcome
from tests.swift.workshop import Package, alter

from pocketrec.package.manifest import file_sha256


@pytest.mark.parametrize(
    ("families", "followed"), [(["sasrec"], False), (["sasrec", "hybrid", "dlrm"], True)]
)
def test_a_page_about_families_is_followed_where_all_of_them_are_asked_for(
    families: list[str], followed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, made = list[list[str]](), list[str]()

    def run(words: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(words)
        return subprocess.CompletedProcess(words, 0, stdout="2 passed in 1s")

    monkeypatch.setattr(subprocess, "run", run)
    monkeypatch.setattr(workshop, "trained", lambda family: made.append(family.name))
    assert workshop.pytests(families).passed == 2
    assert ("--ignore=tests/swift/test_lists_page.py" in asked[0]) is not followed
    assert sorted(made) == (["hybrid", "sasrec"] if followed else [])
    assert all((ROOT / page).is_file() for page in workshop.PAGES)


class Replayed:
    """A built package whose tests give an outcome."""

    bundle: Any = None
    model: Any = None

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    def test(self, *_: str) -> Outcome:
        return self._outcome


@pytest.mark.parametrize(
    ("outcome", "failure"),
    [
        (Outcome(tests=3, passed=1, failure="differs"), ""),
        (Outcome(tests=3, passed=3), "0 of 3 tests fail: all passed"),
        (Outcome(tests=3, failure="no model"), "3 of 3 tests fail: no model"),
        (Outcome(failure="does not compile"), "0 of 0 tests fail: does not compile"),
    ],
)
def test_only_comparisons_that_fail_prove_that_they_can(
    outcome: Outcome, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workshop, "alter", lambda *_: "byte 7")
    built: Any = Replayed(outcome)
    where, said = workshop._altered(built, [])
    assert where.startswith("byte 7")
    assert said.endswith(failure)
    assert bool(said) is bool(failure)


def test_a_byte_is_changed_that_changes_an_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that change none are put back, and the digest of the one that does is made to fit."""
    path = write_scores(tmp_path).relative_to(tmp_path) / "Data/com.apple.CoreML/weights/weight.bin"
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {str(path): {"sha256": "", "bytes": 1}}}))
    whole = (tmp_path / path).read_bytes()
    seen: list[bytes] = []

    def answers(*_: Any) -> list[Any]:
        seen.append((tmp_path / path).read_bytes())
        return ["same" if len(seen) < 3 else "other"]

    monkeypatch.setattr(workshop, "answers_on", answers)
    bundle: Any = SimpleNamespace(path=tmp_path)
    assert str(path) in alter(bundle, tmp_path, [{"answer": "same"}])
    changed = (tmp_path / path).read_bytes()
    assert seen[-1] == changed
    assert sum(one != other for one, other in zip(whole, changed, strict=True)) == 1
    files = json.loads((tmp_path / "manifest.json").read_text())["files"]
    assert files[str(path)]["sha256"] == file_sha256(tmp_path / path)


def test_a_part_of_the_weights_is_changed_where_no_byte_alone_changes_an_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a table few rows are read; what describes a blob stays, so that it is opened all the same."""
    heads = (bytes(64), bytes.fromhex("efbeadde").ljust(64, b"\1"))
    whole = b"".join((*heads, bytes(range(64)) * 32))
    (tmp_path / "weight.bin").write_bytes(whole)
    (tmp_path / "manifest.json").write_text(json.dumps({"files": {"weight.bin": {"sha256": ""}}}))

    def differing() -> list[int]:
        now = (tmp_path / "weight.bin").read_bytes()
        return [place for place, (one, other) in enumerate(zip(whole, now, strict=True)) if one != other]

    monkeypatch.setattr(workshop, "answers_on", lambda *_: ["other" if len(differing()) > 1 else "same"])
    bundle: Any = SimpleNamespace(path=tmp_path)
    said = alter(bundle, tmp_path, [{"answer": "same"}])
    changed = differing()
    assert said == f"{len(changed)} bytes from {changed[0]} on of weight.bin"
    assert len(changed) > 1
    assert all(place % 4 == 3 and place >= 128 for place in changed)
    monkeypatch.setattr(workshop, "answers_on", lambda *_: ["same"])
    with pytest.raises(SystemExit, match="no byte of its weights changes an answer"):
        alter(bundle, tmp_path, [{"answer": "same"}])


def test_a_warning_is_a_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def warn(folder: Path, *words: str, **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(words, 0, "a.swift:1: warning: unused\nBuild complete!", "")

    monkeypatch.setattr(workshop, "run_swift", warn)
    package = Package(path=tmp_path, scratch=tmp_path, environment={})
    assert package.test() == Outcome(warnings=1, failure="a.swift:1: warning: unused")
