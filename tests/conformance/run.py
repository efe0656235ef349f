"""Run coremltools' own op tests on the interpreter and print how many agree.

    python tests/conformance/run.py [FILE ...] [--sample N] [--report FILE] [-k EXPRESSION]

Exit code 0 where at least 97 % of the cases that reach a prediction pass and every failure is
explained in explained.toml, 1 where not, 2 where the tests could not be run.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
REQUIRED_PERCENT = 97.0
Cases = Mapping[str, Mapping[str, Any]]


def main(arguments: list[str] | None = None) -> int:
    """The exit code; everything that is found is printed."""
    parser = argparse.ArgumentParser(description="coremltools' op tests on the interpreter")
    parser.add_argument("files", nargs="*", help="such as iOS14/test_conv.py; default all")
    parser.add_argument("--sample", type=int, default=0, help="cases per test function; default all")
    parser.add_argument("--explained", type=Path, default=HERE / "explained.toml")
    parser.add_argument("--report", type=Path, help="keep the outcome of every case, as JSON")
    parser.add_argument("--break-op", help="make the results of this op wrong, to see the tests notice")
    parser.add_argument("--processes", default="2")
    parser.add_argument("-k", dest="keyword", default="", help="pytest's expression to choose cases")
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory() as folder:
        path = options.report or Path(folder) / "report.json"
        path.unlink(missing_ok=True)
        finished = run_tests(options, path, scratch=folder)
        if finished.returncode not in (0, 1) or not path.exists():
            print(finished.stdout[-4000:], file=sys.stderr)
            print(f"conformance: pytest ended with {finished.returncode} and the cases were not run")
            return 2
        cases = json.loads(path.read_text())
    whole = not (options.sample or options.keyword or options.files)
    return conclude(cases, read_explained(options.explained), whole=whole)


def run_tests(options: argparse.Namespace, report: Path, scratch: str) -> subprocess.CompletedProcess[str]:
    """The finished pytest session, which has written its outcomes to `report`.

    `scratch` holds the thousands of packages that it converts, until it is removed with all of them.
    """
    found = importlib.util.find_spec("coremltools")
    assert found is not None
    assert found.origin is not None
    tests = Path(found.origin).parent / "converters/mil/mil/ops/tests"
    command = [sys.executable, "-m", "pytest", "-c", os.devnull, f"--rootdir={tests}"]
    command += [str(tests / file) for file in options.files] or [str(tests)]
    command += ["-p", "conformance.plugin", "-p", "no:cacheprovider", "-p", "no:hypothesispytest"]
    command += ["-q", "--tb=short", "--no-summary", "-W", "ignore", "-n", options.processes]
    command += ["--conformance-report", str(report.resolve()), "--conformance-sample", str(options.sample)]
    progress = os.dup(sys.stderr.fileno())
    command += ["--conformance-progress", str(progress)]
    if options.keyword:
        command += ["-k", options.keyword]
    if options.break_op:
        command += ["--conformance-break", options.break_op]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(HERE.parent), os.environ.get("PYTHONPATH", "")]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "INCLUDE_MIL_FP32_UNIT_TESTS": "1",  # with fp16 alone, coremltools compares within 0.5
        # Every test on every opset that it is valid for; a sample takes the first such opset.
        "RUN_BACKWARD_COMPATIBILITY": "0" if options.sample else "1",
        "OMP_NUM_THREADS": "1",
        "TMPDIR": scratch,
    }
    for name in ("PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER", "PYMIL_TEST_TARGETS", "PYTEST_CURRENT_TEST"):
        environment.pop(name, None)
    return subprocess.run(
        command,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        pass_fds=(progress,),
    )


def read_explained(path: Path) -> dict[str, str]:
    """The reason of each case that is known to fail, by its name."""
    reasons: dict[str, str] = {}
    for entry in tomllib.loads(path.read_text()).get("explained", []):
        for case in entry["cases"]:
            reasons[case] = entry["reason"]
    return reasons


def conclude(cases: Cases, explained: Mapping[str, str], *, whole: bool) -> int:
    """The exit code for these outcomes; prints the table, the unexplained failures and the ratio.

    With `whole`, an explained case that did not run is stale too.
    """
    print_table(cases)
    failures = {name for name, case in cases.items() if case["outcome"] in ("failed", "error")}
    unexplained = sorted(failures - set(explained))
    stale = sorted(name for name in explained if name not in failures and (whole or name in cases))
    for name in unexplained[:50]:
        print(f"not explained: {name}: {cases[name]['message']}")
    if len(unexplained) > 50:
        print(f"not explained: {len(unexplained) - 50} more")
    for name in stale:
        print(f"explained, but does not fail: {name}")
    passed = sum(case["outcome"] == "passed" for case in cases.values())
    widened = sum(case["outcome"] == "passed" and case["widened"] for case in cases.values())
    print(f"{widened} of the passed hold float16 in precision fp32 and agree within four of its roundings")
    reached = passed + sum(case["outcome"] == "failed" for case in cases.values())
    # Rounded down, so that the printed figure never claims what the gate denies.
    percent = passed * 1000 // reached / 10 if reached else 0.0
    print(f"conformance: {percent:.1f} % ({passed}/{reached})")
    return int(percent < REQUIRED_PERCENT or bool(unexplained or stale))


def print_table(cases: Cases) -> None:
    """One line per opset and file, then the sums."""
    rows: dict[tuple[str, str], Counter[str]] = {}
    for name, case in cases.items():
        file = name.partition("::")[0]
        opset = case["opset"] or (file.partition("/")[0] if "/" in file else "any")
        rows.setdefault((opset, file), Counter())[case["outcome"]] += 1
    heads = ("passed", "failed", "error", "not applicable")
    print(f"{'opset':<15}{'file':<42}" + "".join(f"{head:>16}" for head in heads))
    for (opset, file), counts in sorted(rows.items()):
        print(f"{opset:<15}{file:<42}" + "".join(f"{counts[head]:>16}" for head in heads))
    total = sum(rows.values(), Counter())
    print(f"{'all':<57}" + "".join(f"{total[head]:>16}" for head in heads))


if __name__ == "__main__":
    raise SystemExit(main())
