"""Nothing that did not run is counted as passed, and nothing that had to run may be missing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.ship import parts, run
from tests.ship.parts import PARTS, Counted, Part, counted_cases, counted_tests

REPORT = b"""<testsuites><testsuite>
<testcase classname="a" name="one"/>
<testcase classname="a" name="two"><failure message="assert 1&#10;more"/></testcase>
<testcase classname="a" name="three"><error message="in a fixture"/></testcase>
<testcase classname="a" name="four"><skipped message="not run: no cosign"/></testcase>
</testsuite></testsuites>"""
PART = Part(name="registry")


def test_a_test_that_failed_or_was_skipped_did_not_pass() -> None:
    found = counted_tests("registry", REPORT)
    assert found.passed == 1
    assert found.failed == ["a.two: assert 1", "a.three: in a fixture"]
    assert found.not_run == ["a.four: not run: no cosign"]
    assert found.shown == "1 passed, 2 failed, 1 not run"


def test_a_case_that_did_what_none_may_do_did_not_pass() -> None:
    table = {"asked": 10, "cases": 8, "outcomes": {"refused": 7, "crashed": 1}, "faults": [CASE]}
    found = counted_cases("mutations", table)
    assert (found.passed, found.failed, found.not_run) == (7, ["case 3: exit 4"], ["2 cases"])
    assert found.shown == "7 passed, 1 failed, 1 not run (7 refused, 1 crashed)"


CASE = {"number": 3, "fault": "exit 4"}


@pytest.mark.parametrize(
    ("part", "found", "missing", "said"),
    [
        (PART, Counted(name="", passed=1), {}, []),
        (PART, Counted(name="", passed=1, failed=["a"]), {}, ["registry: 1 failed"]),
        (PART, Counted(name=""), {}, ["registry: is required, and nothing of it passed"]),
        (
            PART,
            Counted(name="", not_run=["a"]),
            {"cosign": "no apt"},
            ["registry: is required, and nothing of it passed"],
        ),
        (PART, Counted(name="", passed=1, not_run=["a"]), {"cosign": "no apt"}, []),
        (
            PART,
            Counted(name="", passed=1, not_run=["a"]),
            {},
            ["registry: 1 did not run, though every tool is here"],
        ),
        (Part(name="others", required=False), Counted(name=""), {}, []),
    ],
)
def test_what_had_to_run_and_did_not_fails(
    part: Part, found: Counted, missing: dict[str, str], said: list[str]
) -> None:
    assert run.faults(part, found, missing) == said


def test_the_last_line_counts_all_parts() -> None:
    found = [Counted(name="registry", passed=3, seconds=60), Counted(name="deltas", passed=1, not_run=["a"])]
    assert run.total(found, {"cosign": "no apt"}) == (
        "ship: 4 passed, 0 failed, 1 not run (cosign missing), 1 min: "
        "registry 3 passed; deltas 1 passed, 1 not run"
    )


def test_a_program_that_does_not_end_or_prints_nothing_is_a_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "_run", lambda words, minutes: (None, ""))
    part = Part(name="mutations", minutes=2)
    assert parts.run_part(part, tmp_path, count=1, jobs=1).failed == ["did not end within 2 minutes"]
    monkeypatch.setattr(parts, "_run", lambda words, minutes: (-11, "the last\nword"))
    assert parts.run_part(part, tmp_path, count=1, jobs=1).failed == ["ended with -11: word"]
    tests = Part(name="registry", tests=("tests/ship/test_run.py",))
    assert parts.run_part(tests, tmp_path, count=1, jobs=1).failed == ["ended with -11: word"]
    assert parts.run_part(Part(name="x", tests=("tests/nowhere",)), tmp_path, count=1, jobs=1).failed


def test_a_program_is_ended_with_what_it_started() -> None:
    wait = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import signal; signal.pause()'])"
    assert parts._run(["-c", wait], 0.01) == (None, "")


def test_what_passed_is_kept_and_what_did_not_is_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[str] = []

    def ran(part: Part, place: Path, **more: Any) -> Counted:
        asked.append(part.name)
        return Counted(name=part.name, passed=1, failed=["a"] if part.name == "deltas" else [])

    monkeypatch.setattr(run, "run_part", ran)
    monkeypatch.setattr(run, "missing_tools", dict)
    words = ["registry", "deltas", "--folder", str(tmp_path)]
    assert run.main(words) == 1
    assert run.main(words) == 1
    assert asked == ["registry", "deltas", "deltas"]
    assert run.main([*words, "--again"]) == 1
    assert asked[3:] == ["registry", "deltas"]
    assert "registry         1 passed, kept" in capsys.readouterr().out


def test_a_part_is_kept_by_its_own_tests_and_not_by_those_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "source_sha256", lambda rooms: " ".join(rooms))
    known = run.key_of(Part(name="deltas", tests=("tests/package/delta",))).split()
    assert {"tests/package/delta", "tests/ship", "tests/mean.py", "cli", "package"} <= set(known)
    assert not {"tests", "tests/package/sign"} & set(known)


def test_every_marked_test_is_of_some_part() -> None:
    """What no part names is run by the one that takes all others."""
    others = next(each for each in PARTS if each.name == "others")
    assert (others.tests, others.marked) == (("tests",), True)
    assert "tests" not in parts._elsewhere(others)
    assert json.loads(json.dumps(len(PARTS))) == len({each.name for each in PARTS})
