"""What test runs print, counted: nothing that did not run is counted as passed."""

from __future__ import annotations

import re
from dataclasses import dataclass

# XCTest's last total; of tests that were skipped it says how many.
_TOTAL = re.compile(r"Executed (\d+) tests?, with (?:(\d+) tests? skipped and )?(\d+) failures?")
_FAILED = re.compile(r"^Test Case '(\S+)' failed", re.MULTILINE)
_WRONG = re.compile(r": error: |: warning: |' failed | skipped |Fatal error|Program crashed")
_PYTEST = re.compile(r"(\d+) (passed|failed|error|errors|skipped)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What `swift test` gave: a test that was skipped is one that did not pass."""

    tests: int = 0
    passed: int = 0
    warnings: int = 0
    failure: str = ""


def swift_total(text: str, code: int) -> Outcome:
    """What XCTest's last total counts; a failure where nothing was run, or something did not pass."""
    totals = _TOTAL.findall(text)
    tests, skipped, failed = (int(each or 0) for each in totals[-1]) if totals else (0, 0, 0)
    failing = {*_FAILED.findall(text)}
    passed = tests - skipped - len(failing)
    if code == 0 and not failing and not failed and not skipped and tests:
        return Outcome(tests=tests, passed=passed)
    return Outcome(tests=tests, passed=passed, failure=first_line(text))


def first_line(text: str) -> str:
    """The line that says what is wrong: an error, a skipped or failed test, else the last one."""
    lines = [each.strip() for each in text.splitlines() if each.strip()] or ["nothing was printed"]
    return next((each for each in lines if _WRONG.search(each)), lines[-1])


def pytest_total(text: str, code: int) -> Outcome:
    """What the last line of pytest counts."""
    last = (text.strip().splitlines() or [""])[-1]
    counts = {what.rstrip("s"): int(number) for number, what in _PYTEST.findall(last)}
    tests, passed = sum(counts.values()), counts.get("passed", 0)
    failed = code != 0 or passed < tests or not tests
    return Outcome(tests=tests, passed=passed, failure=(last or "pytest printed nothing") if failed else "")
