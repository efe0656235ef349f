"""The parts of `make ship`: which tests and programs show what, and how what they print is counted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from tests.kept import ROOT
from tests.ship.tools import environment

MUTATIONS = "mutations"
_OTHERS = "others"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One part.

    Attributes:
        name: of a word or two.
        tests: files and folders whose tests show it, marked or not; those that are not there are left out.
        marked: whether only tests that are marked `ship` count.
        required: whether the run fails where nothing of it passed.
        minutes: after which it is ended.
        keeps_itself: whether it keeps its own results, case by case.
    """

    name: str
    tests: tuple[str, ...] = ()
    marked: bool = False
    required: bool = True
    minutes: float = 20.0
    keeps_itself: bool = False


PARTS: tuple[Part, ...] = (
    Part(name="registry", tests=("tests/package/registry", "tests/cli/test_registry.py"), minutes=40.0),
    Part(name="signatures", tests=("tests/package/sign", "tests/cli/test_sign.py")),
    Part(name="deltas", tests=("tests/package/delta",)),
    Part(name="swift registry", tests=("tests/package/swift/registry", "tests/swift/test_registry.py")),
    Part(name="workflow", tests=("tests/ci",)),
    Part(name="reproducible", tests=("tests/ship",)),
    Part(name=_OTHERS, tests=("tests",), marked=True, required=False),
    Part(name=MUTATIONS, minutes=60.0, keeps_itself=True),
)


@dataclass(slots=True, kw_only=True)
class Counted:
    """What became of a part.

    Attributes:
        name: of the part.
        passed: how many tests or cases did.
        failed: a line for each that did not.
        not_run: a reason for each that was not run.
        seconds: that it took.
        said: what its last line says beyond numbers.
    """

    name: str
    passed: int = 0
    failed: list[str] = field(default_factory=list)
    not_run: list[str] = field(default_factory=list)
    seconds: float = 0.0
    said: str = ""

    @property
    def shown(self) -> str:
        """The counts in words."""
        numbers = [
            f"{self.passed} passed",
            *([f"{len(self.failed)} failed"] if self.failed else []),
            *([f"{len(self.not_run)} not run"] if self.not_run else []),
        ]
        return f"{', '.join(numbers)}{f' ({self.said})' if self.said else ''}"


def run_part(part: Part, place: Path, *, count: int, jobs: int) -> Counted:
    """Runs a part, and counts.

    Args:
        part: what to run.
        place: a folder for what it writes.
        count: how many changed things are opened.
        jobs: processes at a time.
    """
    start = time.perf_counter()
    found = _mutations(part, place, count, jobs) if part.name == MUTATIONS else _tests(part, place)
    found.seconds = time.perf_counter() - start
    return found


def _tests(part: Part, place: Path) -> Counted:
    report = place / f"{part.name.replace(' ', '-')}.xml"
    report.unlink(missing_ok=True)
    paths = [each for each in part.tests if (ROOT / each).exists()]
    if not paths:
        return Counted(name=part.name, failed=[f"no tests at {', '.join(part.tests)}"])
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", *paths]
    if part.marked:
        words += ["-m", "ship", *(f"--ignore={each}" for each in _elsewhere(part))]
    code, printed = _run(words, part.minutes)
    if not report.exists():
        return Counted(name=part.name, failed=[_last(printed, code, part.minutes)])
    found = counted_tests(part.name, report.read_bytes())
    if code not in (0, 1, 5) and not found.failed:  # 5: nothing was collected
        found.failed.append(_last(printed, code, part.minutes))
    return found


def _elsewhere(part: Part) -> list[str]:
    """What other parts run."""
    return [test for each in PARTS if each is not part for test in each.tests if (ROOT / test).exists()]


def counted_tests(name: str, report: bytes) -> Counted:
    """What a report of pytest counts; a test that was skipped is one that was not run."""
    found = Counted(name=name)
    for case in ElementTree.fromstring(report).iter("testcase"):
        title = f"{case.get('classname', '')}.{case.get('name', '')}"
        problem = next((each for each in case if each.tag in ("failure", "error")), None)
        skipped = case.find("skipped")
        if problem is not None:
            found.failed.append(f"{title}: {_line(problem.get('message'))}")
        elif skipped is not None:
            found.not_run.append(f"{title}: {_line(skipped.get('message'))}")
        else:
            found.passed += 1
    return found


def _mutations(part: Part, place: Path, count: int, jobs: int) -> Counted:
    words = ["-W", "ignore", "-m", "tests.ship.mutations", "--json", f"--count={count}", f"--jobs={jobs}"]
    code, printed = _run([*words, f"--folder={place.parent / MUTATIONS}"], part.minutes)
    try:
        table = json.loads(printed)
    except ValueError:
        return Counted(name=part.name, failed=[_last(printed, code, part.minutes)])
    return counted_cases(part.name, table)


def counted_cases(name: str, table: dict[str, Any]) -> Counted:
    """What the JSON of the changed things counts."""
    faults = [f"case {each['number']}: {each['fault']}" for each in table["faults"]]
    short = table["asked"] - table["cases"]
    return Counted(
        name=name,
        passed=table["cases"] - len(faults),
        failed=faults,
        not_run=[f"{short} cases"] if short else [],
        said=", ".join(f"{number} {what}" for what, number in table["outcomes"].items()),
    )


def _run(words: Sequence[str], minutes: float) -> tuple[int | None, str]:
    """Exit code and what a Python program printed; None where it was ended as it took too long."""
    around = {**os.environ, **environment(), "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=ROOT,
        env=around,
        stdout=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    try:
        printed, _ = process.communicate(timeout=60 * minutes)
        return process.returncode, printed
    except subprocess.TimeoutExpired:
        return None, ""
    finally:
        if process.poll() is None:
            _end(process)


def _end(process: subprocess.Popen[str]) -> None:
    """Ends a program with all that it started, such as a registry."""
    import signal

    os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _last(printed: str, code: int | None, minutes: float) -> str:
    if code is None:
        return f"did not end within {minutes:.0f} minutes"
    return f"ended with {code}: {(printed.strip().splitlines() or ['no word'])[-1][:300]}"


def _line(message: str | None) -> str:
    return (message or "no reason").strip().splitlines()[0][:300]
