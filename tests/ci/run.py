"""The workflow's linters, its wheel and its rehearsal: `python -m tests.ci.run`; the last line counts."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import pytest
from tests.ci.rehearsal import CASES

_OUTCOMES = "test_every_outcome_is_reached_and_named"


class Counts:
    """What became of each test; a setup that fails counts as its test."""

    def __init__(self) -> None:
        self.all: Counter[str] = Counter()
        self.outcomes: Counter[str] = Counter()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts a test once: by its call, or by what kept it from being called."""
        if report.when == "call" or (report.when == "setup" and not report.passed):
            self.all[report.outcome] += 1
            self.outcomes[report.outcome] += _OUTCOMES in report.nodeid


def main() -> int:
    """Runs them; 1 where one failed or none ran."""
    counts = Counts()
    words = ["-q", "-p", "no:cacheprovider", str(Path(__file__).parent), *sys.argv[1:]]
    code = int(pytest.main(words, plugins=[counts]))
    said = f"{counts.all['passed']} passed, {counts.all['failed']} failed, {counts.all['skipped']} not run"
    print(f"ci: {said}; {counts.outcomes['passed']} of {len(CASES)} outcomes rehearsed, no Mac ran any")
    return code or int(not counts.all["passed"])


if __name__ == "__main__":
    sys.exit(main())
