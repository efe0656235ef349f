"""Every outcome of a verification is reached and named, in the table and as JSON, and has its exit code.

Core ML's framework is a fake here, which coremltools' own code runs on; the outputs say so.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, get_args

import pytest
from click.testing import CliRunner
from tests.validate.runtimes.fake_mac import Mac

from pocketrec.cli.main import main
from pocketrec.errors import UsageError
from pocketrec.pipeline.verify import verify
from pocketrec.pipeline.verify_outcomes import OUTCOMES, Asked, Outcome
from pocketrec.validate.open import Options
from pocketrec.validate.runtimes.coreml_framework import CoreMLFramework
from pocketrec.validate.runtimes.faults import Fault

BUNDLE = Path(__file__).parents[1] / "fixtures" / "first" / "mean"
ON_FRAMEWORK = ("--runtime", "coreml-framework")


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Mac:
    return Mac(monkeypatch, tmp_path)


@pytest.fixture
def here(mac: Mac, monkeypatch: pytest.MonkeyPatch) -> Mac:
    """A Mac whose framework is in this process, for what neither hangs nor dies."""

    def opened(path: Path, options: Options) -> CoreMLFramework:
        return CoreMLFramework(path, compute_units=options.compute_units, function=options.function)

    monkeypatch.setattr("pocketrec.validate.open.open_framework", opened)
    mac.is_here()
    return mac


def run(*options: str) -> tuple[int, dict[str, Any], str]:
    """Exit code, JSON, and what people read."""
    told = CliRunner().invoke(main, ["verify", str(BUNDLE), *options])
    as_json = CliRunner().invoke(main, ["verify", str(BUNDLE), *options, "--json"])
    assert told.exit_code == as_json.exit_code, told.output
    return told.exit_code, json.loads(as_json.stdout), told.stdout


def on_framework(found: dict[str, Any]) -> dict[str, Any]:
    (entry,) = (each for each in found["replays"] if each["runtime"] == "coreml-framework")
    return dict(entry)


IN_PROCESS = [
    ("", "passed", 0),
    ("predict=print", "passed", 0),
    ("predict=zeros", "all_zeros", 1),
    ("predict=noise:0.2", "wrong_answer", 1),
    ("load=refuse", "refused", 1),
    ("predict=refuse", "failed", 1),
    ("load=e5rt", "e5rt_timeout", 14),
    ("predict=e5rt", "e5rt_timeout", 14),
]


@pytest.mark.parametrize(("rules", "outcome", "code"), IN_PROCESS)
def test_what_a_framework_answers_is_named(here: Mac, rules: str, outcome: Outcome, code: int) -> None:
    here.does(rules)
    exit_code, found, told = run(*ON_FRAMEWORK)
    entry = on_framework(found)
    assert (exit_code, found["exit_code"]) == (code, code)
    assert (entry["outcome"], entry["status"]) == (outcome, OUTCOMES[outcome][1])
    assert found["passed"] == (code == 0)
    assert f"{OUTCOMES[outcome][0]} (rehearsal)" in told
    assert told.splitlines()[-1].endswith("(rehearsal: something stood in for Core ML, and no device ran)")
    assert (found["rehearsal"], entry["rehearsal"]) == (True, True)
    if outcome in ("passed", "wrong_answer", "all_zeros"):
        assert entry["version"] == "macOS 15.5 (a rehearsal on Linux, no device)"
        assert entry["compute_units"] == "allowed: all"


PROCESSES = [
    ("load=hang", "0.3", "hung", "no answer within 0.3 s while it was loaded with all; try compute units"),
    ("predict=abort", "60", "crashed", "its process ended with SIGABRT in a call with all; try compute"),
    ("predict=garble", "60", "garbled", "what came back in a call is no answer"),
]


@pytest.mark.parametrize(("rules", "timeout", "outcome", "message"), PROCESSES)
def test_what_a_framework_does_instead_is_named_and_a_second_machine_may_do_better(
    mac: Mac, rules: str, timeout: str, outcome: Outcome, message: str
) -> None:
    mac.does(rules)
    found = CliRunner().invoke(
        main, ["verify", str(BUNDLE), "--timeout", timeout, "--require", "coreml-framework", "--json"]
    )
    table = json.loads(found.stdout)
    entry = on_framework(table)
    assert (found.exit_code, entry["outcome"], entry["status"]) == (14, outcome, "failed")
    assert message in entry["message"]
    required = f"required coreml-framework did not answer for coreml/main: {OUTCOMES[outcome][0]} (rehearsal)"
    assert table["problems"] == [required]
    assert {each["status"] for each in table["replays"] if each["runtime"] != "coreml-framework"} == {
        "passed"
    }


def test_an_honest_framework_in_a_process_passes_and_what_it_prints_is_kept(mac: Mac) -> None:
    mac.does("predict=print")
    found = CliRunner().invoke(main, ["verify", str(BUNDLE), "--require", "coreml-framework", "--json"])
    entry = on_framework(json.loads(found.stdout))
    assert (found.exit_code, entry["outcome"], entry["vectors"]) == (0, "passed", 8), found.stderr
    assert entry["printed"].endswith("and Python, too")


def test_every_outcome_has_its_words_and_every_fault_is_one() -> None:
    names = {each for part in get_args(Outcome) for each in (get_args(part) or (part,))}
    assert names == set(OUTCOMES)
    assert set(get_args(Fault)) <= names
    assert len({words for words, _ in OUTCOMES.values()}) == len(OUTCOMES)


def test_a_macos_that_is_too_old_is_not_asked(here: Mac) -> None:
    here.is_macos("13.6")
    exit_code, found, told = run("--require", "coreml-framework")
    entry = on_framework(found)
    assert (exit_code, entry["outcome"], entry["status"]) == (14, "macos_too_old", "not_run")
    assert "iOS17 needs macOS 14, and this is macOS 13.6" in entry["message"]
    assert "not run: macOS is too old" in told
    assert run()[0] == 0  # as the interpreter ran it, and nobody required more
    exit_code, found, told = run(*ON_FRAMEWORK)
    assert (exit_code, told.splitlines()[-1]) == (14, "failed")
    (problem,) = found["problems"]
    assert problem.startswith("coreml/main: ")
    assert problem.endswith("; nothing was compared")


def test_zeros_on_one_unit_are_no_zeros_on_another(here: Mac) -> None:
    here.does("predict=zeros@CPU_ONLY")
    for units, outcome in (("cpu_only", "all_zeros"), ("cpu_and_gpu", "passed")):
        _, found, _ = run(*ON_FRAMEWORK, "--compute-units", units)
        entry = on_framework(found)
        assert (entry["outcome"], entry["compute_units"]) == (outcome, f"allowed: {units}")


def test_a_required_engine_that_is_not_there_fails_and_says_why() -> None:
    exit_code, found, told = run("--require", "coreml-framework")
    assert exit_code == 14
    assert on_framework(found)["outcome"] == "not_there"
    (problem,) = found["problems"]
    assert problem.startswith("required coreml-framework did not run coreml/main: the Core ML framework ex")
    assert told.splitlines()[-1] == "failed"
    exit_code, found, _ = run("--require", "web-wasm")
    assert exit_code == 14
    assert found["problems"] == ["required web-wasm did not run: no artifact of this bundle is for it"]


def test_only_the_runtimes_that_are_asked_for_run() -> None:
    exit_code, found, told = run("--runtime", "coreml")
    assert exit_code == 0
    outcomes = {each["runtime"]: each["outcome"] for each in found["replays"]}
    assert outcomes == {
        "coreml-interpreter": "passed",
        "coreml-framework": "not_there",
        "onnxruntime": "not_asked",
    }
    assert "not run: not asked for" in told
    exit_code, found, _ = run("--runtime", "web-wasm")
    assert exit_code == 1
    assert found["problems"] == ["no artifact is for the runtimes that were asked for, nothing was compared"]
    exit_code, found, _ = run("--runtime", "coreml-framework")
    assert exit_code == 1
    assert found["problems"] == ["coreml/main: no runtime for it on this machine, nothing was compared"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtimes": ("torch",)}, r"--runtime 'torch': expected an engine or a format: .*coreml-framework"),
        ({"required": ("coreml",)}, r"--require 'coreml': expected one of onnxruntime"),
        (
            {"runtimes": ("onnx",), "required": ("coreml-framework",)},
            r"--require coreml-framework: it is not among --runtime; add --runtime coreml-framework",
        ),
        ({"timeout": 0.0}, r"--timeout 0: expected more than 0 seconds"),
        ({"timeout": float("nan")}, r"--timeout nan: expected more than 0 seconds"),
    ],
)
def test_what_cannot_be_asked_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Asked(**options)


def test_damage_is_damage_whatever_was_required(tmp_path: Path) -> None:
    copy = tmp_path / "mean"
    shutil.copytree(BUNDLE, copy)
    (copy / "contract.json").write_text("{}")
    found = verify(copy, asked=Asked(required=("coreml-framework",)))
    assert (found.exit_code, found.passed, found.unmet) == (1, False, ())
