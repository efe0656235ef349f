"""What `make swift` counts, and that nothing which did not run is counted as passed."""

from __future__ import annotations

import pytest
from tests.swift.run import total
from tests.swift.totals import Outcome, pytest_total, swift_total
from tests.swift.workshop import Row

PASSED = """Test Case 'A.testX' passed (0.1 seconds)
\t Executed 2 tests, with 0 failures (0 unexpected) in 1.0 (1.0) seconds
Test Suite 'All tests' passed
\t Executed 5 tests, with 0 failures (0 unexpected) in 1.0 (1.0) seconds
✔ Test run with 0 tests passed after 0.001 seconds.
"""
FAILED = """a.swift:3: error: A.testX : XCTAssertEqual failed: ("1") is not equal to ("2")
a.swift:4: error: A.testX : XCTAssertEqual failed: ("1") is not equal to ("3")
Test Case 'A.testX' failed (0.1 seconds)
\t Executed 5 tests, with 2 failures (0 unexpected) in 1.0 (1.0) seconds
"""
SKIPPED = """Test Case 'A.testX' skipped (0.1 seconds)
\t Executed 5 tests, with 1 test skipped and 0 failures (0 unexpected) in 1.0 (1.0) seconds
"""


def test_the_last_total_counts() -> None:
    assert swift_total(PASSED, 0) == Outcome(tests=5, passed=5)


@pytest.mark.parametrize(
    ("text", "code", "tests", "passed", "failure"),
    [
        (FAILED, 1, 5, 4, 'a.swift:3: error: A.testX : XCTAssertEqual failed: ("1") is not equal to ("2")'),
        (SKIPPED, 0, 5, 4, "Test Case 'A.testX' skipped (0.1 seconds)"),
        (PASSED, 1, 5, 5, "✔ Test run with 0 tests passed after 0.001 seconds."),
        ("Executed 0 tests, with 0 failures", 0, 0, 0, "Executed 0 tests, with 0 failures"),
        ("", 0, 0, 0, "nothing was printed"),
        (
            "*** Program crashed: Bad pointer\nBacktrace took 0.1s",
            -11,
            0,
            0,
            "*** Program crashed: Bad pointer",
        ),
        (
            "a.swift:1:1: error: no such module\nerror: fatalError",
            1,
            0,
            0,
            "a.swift:1:1: error: no such module",
        ),
    ],
)
def test_whatever_did_not_pass_is_a_failure_with_its_line(
    text: str, code: int, tests: int, passed: int, failure: str
) -> None:
    """Two assertions of one test are one failure; a skipped test, or none at all, proves nothing."""
    assert swift_total(text, code) == Outcome(tests=tests, passed=passed, failure=failure)


@pytest.mark.parametrize(
    ("text", "code", "expected"),
    [
        ("..\n12 passed, 3 deselected in 4.2s", 0, Outcome(tests=12, passed=12)),
        ("1 failed, 11 passed in 4s", 1, Outcome(tests=12, passed=11, failure="1 failed, 11 passed in 4s")),
        ("2 skipped in 4s", 0, Outcome(tests=2, failure="2 skipped in 4s")),
        ("1 passed, 1 error in 4s", 1, Outcome(tests=2, passed=1, failure="1 passed, 1 error in 4s")),
        ("12 deselected in 4s", 5, Outcome(failure="12 deselected in 4s")),
        ("", 2, Outcome(failure="pytest printed nothing")),
    ],
)
def test_pytests_last_line_counts(text: str, code: int, expected: Outcome) -> None:
    assert pytest_total(text, code) == expected


def test_the_last_line_counts_packages_tests_and_what_passed() -> None:
    rows = [Row(package="a", tests=3, passed=3), Row(package="b", tests=4, passed=2)]
    assert total(rows) == "2 packages, 7 tests: 5 passed"
