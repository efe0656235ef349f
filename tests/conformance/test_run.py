"""The gate over coremltools' op tests, and a fixed sample of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .run import conclude, read_explained

HERE = Path(__file__).resolve().parent


def outcomes(**counts: int) -> dict[str, dict[str, Any]]:
    return {
        f"iOS15/test_x.py::test_{outcome}[{number}]": {
            "outcome": outcome.replace("_", " "),
            "opset": "iOS15",
            "widened": False,
            "message": "boom",
        }
        for outcome, count in counts.items()
        for number in range(count)
    }


def explain(cases: dict[str, dict[str, Any]], outcome: str) -> dict[str, str]:
    return {name: "known" for name, case in cases.items() if case["outcome"] == outcome}


def test_gate_passes_with_explained_failures(capsys: pytest.CaptureFixture[str]) -> None:
    """97 of 100 suffice where the other three are explained; what did not predict does not count."""
    cases = outcomes(passed=97, failed=3, not_applicable=50)
    assert conclude(cases, explain(cases, "failed"), whole=True) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "conformance: 97.0 % (97/100)"


def test_gate_fails_below_its_ratio(capsys: pytest.CaptureFixture[str]) -> None:
    """969 of 1000 do not suffice, however well explained."""
    cases = outcomes(passed=969, failed=31)
    assert conclude(cases, explain(cases, "failed"), whole=True) == 1
    assert "conformance: 96.9 % (969/1000)" in capsys.readouterr().out


@pytest.mark.parametrize("outcome", ["failed", "error"])
def test_gate_fails_on_a_failure_without_a_reason(outcome: str, capsys: pytest.CaptureFixture[str]) -> None:
    """One unexplained case of a thousand is named with its message, also where it broke before predicting."""
    assert conclude(outcomes(passed=999, **{outcome: 1}), {}, whole=True) == 1
    assert f"not explained: iOS15/test_x.py::test_{outcome}[0]: boom" in capsys.readouterr().out


def test_gate_fails_on_a_stale_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """A case that passes, or is gone, must leave the list; a sample cannot tell what is gone."""
    assert conclude(outcomes(passed=10), {"iOS15/gone.py::test": "known"}, whole=True) == 1
    assert "explained, but does not fail: iOS15/gone.py::test" in capsys.readouterr().out
    assert conclude(outcomes(passed=10), {"iOS15/gone.py::test": "known"}, whole=False) == 0
    assert conclude(outcomes(passed=10), {"iOS15/test_x.py::test_passed[0]": "known"}, whole=False) == 1


def test_what_passed_by_a_wider_bound_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    """The figure stands beside the ratio; failures do not add to it."""
    cases = outcomes(passed=3, failed=1)
    for case in [*cases.values()][1:]:
        case["widened"] = True
    conclude(cases, explain(cases, "failed"), whole=True)
    assert "2 of the passed hold float16 in precision fp32" in capsys.readouterr().out


def test_gate_fails_where_nothing_was_compared() -> None:
    """No prediction reached is not a pass."""
    assert conclude(outcomes(not_applicable=10), {}, whole=True) == 1


def test_every_explanation_says_something() -> None:
    """A reason is a sentence, not a word."""
    for name, reason in read_explained(HERE / "explained.toml").items():
        assert len(reason.split()) >= 6, name


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(HERE / "run.py"), *arguments], capture_output=True, text=True, check=False
    )


@pytest.mark.long
def test_sample_of_the_op_tests_agrees() -> None:
    """Two ML Program cases of every op test of coremltools pass the gate; `make conformance` runs all."""
    finished = run("--sample", "2", "--processes", "0")
    assert finished.returncode == 0, finished.stdout[-5000:] + finished.stderr[-2000:]


@pytest.mark.long
@pytest.mark.parametrize(
    ("op_type", "file"), [("relu", "test_activation"), ("reshape", "test_tensor_transformation")]
)
def test_a_broken_kernel_is_noticed(op_type: str, file: str) -> None:
    """Results shifted by one make the op's own tests fail, so that a pass means something."""
    finished = run(
        f"iOS14/{file}.py", "--sample", "4", "--processes", "0", "--break-op", op_type, "-k", op_type
    )
    assert finished.returncode == 1, finished.stdout[-3000:] + finished.stderr[-2000:]
    assert "not explained" in finished.stdout
