"""What the commands wrote on a Mac is read back, however far they came."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pocketrec.cli.main import main
from pocketrec.errors import ArtifactError
from pocketrec.pipeline.mac_run import read_mac_run
from pocketrec.pipeline.verify_outcomes import OUTCOMES
from pocketrec.validate.report.mac_run import NOT_ASKED

VERIFY = {
    "schema": 1,
    "passed": False,
    "name": "sasrec",
    "version": "1.0.0",
    "tree_sha256": "7d" * 32,
    "problems": ["coreml/head: hung"],
    "unmet": ["required coreml-framework did not run"],
    "signature": {"status": "unsigned", "message": "nobody has signed it"},
    "replays": [
        {
            "target": "coreml",
            "function": "main",
            "runtime": "coreml-framework",
            "outcome": "passed",
            "status": "passed",
            "vectors": 5,
            "calls": 7,
            "message": "",
        },
        {
            "target": "coreml",
            "function": "head",
            "runtime": "coreml-framework",
            "status": "failed",
            "outcome": "all_zeros",
            "message": "no answer",
        },
    ],
}
PROFILE: dict[str, Any] = {
    "schema": 1,
    "machine": {"system": "Darwin 25.1.0 arm64"},
    "side": {
        "target": "coreml",
        "function": "main",
        "measured": {
            "runtime": "coreml-framework",
            "version": "macOS 26.1",
            "load_cold_ms": 90.0,
            "load_warm_ms": [50.0, 40.0, 30.0],
            "latency": {"percentiles": [{"share": 0.5, "ms": 1.25}, {"share": 0.95, "ms": 1.75}]},
        },
    },
    "units": [
        {"compute_units": "all", "plan": [{"device": "CPU"}, {"device": "CPU"}, {"device": ""}]},
        {"compute_units": "cpu_only", "plan": [{"device": "GPU"}]},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    texts = {
        "doctor.json": json.dumps({"machine": {"system": "Darwin 25.1.0 arm64"}}),
        "verify.json": json.dumps(VERIFY),
        "measured.coreml.main.all.json": json.dumps(PROFILE),
        "measured.coreml.main.cpu_only.json": "",
        "measured.coreml.main.cpu_only.txt": "measure it\nerror: hung: no answer in 300 s\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    return tmp_path


def test_everything_that_was_found_is_read(folder: Path) -> None:
    run = read_mac_run(folder)
    assert (run.bundle, run.system, run.rehearsed) == ("sasrec 1.0.0", "Darwin 25.1.0 arm64", False)
    assert [(each.function, each.outcome) for each in run.answered] == [
        ("main", "passed"),
        ("head", "wrong answer: all zeros"),
    ]
    assert run.problems == ("coreml/head: hung", "required coreml-framework did not run")
    measured, hung = run.timed
    assert measured.of_a_device
    assert (measured.p50_ms, measured.p95_ms, measured.load_warm_ms) == (1.25, 1.75, 40.0)
    assert measured.devices == {"CPU": 2, "unknown": 1}
    assert (hung.compute_units, hung.reason) == ("cpu_only", "error: hung: no answer in 300 s")


def test_what_the_job_did_not_reach_is_said_with_the_last_line_that_it_printed(tmp_path: Path) -> None:
    (tmp_path / "pull.txt").write_text("pull\nerror: no such reference\n", encoding="utf-8")
    run = read_mac_run(tmp_path)
    assert (run.verdict, run.passed) == ("not run", False)
    assert run.problems == ("nothing was compared: error: no such reference",)


def test_an_error_document_is_told_in_its_words(folder: Path) -> None:
    error = {"schema": 1, "error": {"kind": "UsageError", "message": "no folder", "exit_code": 2}}
    (folder / "verify.json").write_text(json.dumps(error), encoding="utf-8")
    run = read_mac_run(folder)
    assert (run.verdict, run.problems) == ("not run", ("no folder",))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("verify.json", "[1", "verify.json: "),
        ("verify.json", '{"replays": [{"outcome": "passed", "target": 3}]}', r"verify\.json: target"),
        (
            "verify.json",
            '{"replays": [{"outcome": "fine"}]}',
            r"verify\.json: outcome 'fine'; expected passed",
        ),
        (
            "measured.coreml.main.all.json",
            '{"side": {}}',
            r"measured\.coreml\.main\.all\.json: lacks 'measured'",
        ),
        ("measured.coreml.main.all.json", "[]", "expected what `profile --json` prints"),
        ("verify.json", "[1]", r"verify\.json: is no table; expected what `verify --json` prints"),
        ("doctor.json", "7", r"doctor\.json: is no table; expected what `doctor --json` prints"),
        ("verify.json", '{"replays": 5}', r"verify\.json: replays is 5; expected a list"),
        ("verify.json", '{"problems": {}}', r"verify\.json: problems is {}; expected a list"),
        ("verify.json", '{"replays": [{"outcome": ["passed"]}]}', r"outcome \['passed'\]; expected passed"),
    ],
)
def test_a_file_of_another_kind_is_one_line(folder: Path, name: str, text: str, message: str) -> None:
    (folder / name).write_text(text, encoding="utf-8")
    with pytest.raises(ArtifactError, match=message):
        read_mac_run(folder)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("load_cold_ms", float("inf"), "load_cold_ms is inf; expected milliseconds"),
        ("load_warm_ms", [10**400], "expected what `profile --json` prints"),
        ("load_warm_ms", [], "expected what `profile --json` prints"),
    ],
)
def test_a_time_that_is_none_is_one_line(folder: Path, key: str, value: object, said: str) -> None:
    side = {**PROFILE["side"], "measured": {**PROFILE["side"]["measured"], key: value}}
    text = json.dumps({**PROFILE, "side": side})
    (folder / "measured.coreml.main.all.json").write_text(text, encoding="utf-8")
    done = command(folder, "--json")
    assert (done.exit_code, done.stderr.count("error: ")) == (1, 1), done.output
    assert said in done.stderr


def test_a_pass_in_which_nothing_was_compared_is_none(folder: Path) -> None:
    (folder / "verify.json").write_text(
        json.dumps({**VERIFY, "passed": True, "replays": []}), encoding="utf-8"
    )
    assert read_mac_run(folder).verdict == "failed"


def test_the_words_for_what_nobody_asked_for_are_those_of_verify() -> None:
    assert OUTCOMES["not_asked"][0] == NOT_ASKED


def command(*arguments: object) -> Any:
    return CliRunner().invoke(main, ["parity", *map(str, arguments)])


def test_the_command_prints_markdown_the_passed_ones_or_json(folder: Path) -> None:
    text = command(folder, "--name", "nightly").stdout
    assert text.startswith("<!-- pocketrec parity nightly -->\n## ❌ sasrec 1.0.0 on Core ML: failed\n")
    assert command(folder, "--passed").stdout == "coreml main\n"
    table = json.loads(command(folder, "--json").stdout)
    assert (table["verdict"], table["rehearsed"]) == ("failed", False)
    assert [each["of_a_device"] for each in table["timed"]] == [True, False]


def test_a_folder_that_is_none_is_one_line(tmp_path: Path) -> None:
    done = command(tmp_path / "absent")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "absent" in done.stderr
