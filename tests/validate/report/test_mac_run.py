"""What a Mac found is told with its times; what a rehearsal found is told as one, and without any."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pocketrec.validate.report.mac_run import NOT_ASKED, Answered, MacRun, Timed, is_mac, mac_run_markdown

MAC = "Darwin 25.1.0 arm64"
LINUX = "Linux 6.1.0 x86_64"
NASTY = "a | b\n# <img src=x> @someone"

TIMED = Timed(
    target="coreml",
    function="main",
    compute_units="cpu_only",
    runtime="coreml-framework",
    version="macOS 26.1",
    system=MAC,
    p50_ms=1.25,
    p95_ms=1.75,
    load_cold_ms=90.0,
    load_warm_ms=40.0,
    devices={"CPU": 12, "GPU": 3},
)
RUN = MacRun(
    bundle="sasrec 1.0.0",
    tree_sha256="7d" * 32,
    system=MAC,
    signature="nobody has signed it",
    passed=True,
    answered=(
        Answered(
            target="coreml",
            function="main",
            runtime="coreml-framework",
            outcome="passed",
            status="passed",
            compute_units="allowed: cpu_only",
            version="macOS 26.1",
            vectors=5,
            calls=7,
        ),
    ),
    timed=(TIMED,),
)


def test_a_run_on_a_mac_shows_verdict_and_times() -> None:
    text = mac_run_markdown(RUN, "parity")
    assert text.startswith("<!-- pocketrec parity parity -->\n## ✅ sasrec 1.0.0 on Core ML: passed\n")
    assert (
        "| coreml/main | coreml-framework macOS 26.1 | cpu_only | ✅ **passed** | 5 vectors, 7 calls |  |"
        in text
    )
    row = "| coreml/main | cpu_only | 1.250 | 1.750 | 90.000 | 40.000 | CPU 12, GPU 3 |"
    assert row in text
    assert "Hosted Macs are virtual machines" in text
    assert "ehears" not in text


@pytest.mark.parametrize(
    "other",
    [
        {"system": LINUX},
        {"version": "a fake, no Mac"},
        {"version": "macOS a fake, no Mac"},
        {"runtime": "coreml-interpreter"},
        {"reason": "hung: no answer in 300 s"},
    ],
    ids=lambda other: str(*other.values()),
)
def test_times_that_no_mac_took_are_not_shown(other: dict[str, Any]) -> None:
    text = mac_run_markdown(replace(RUN, timed=(replace(TIMED, **other),)), "parity")
    assert "1.250" not in text
    assert "Latency" not in text
    assert "### Not measured\n\n- coreml/main on cpu_only: " in text


def test_a_rehearsal_says_so_first() -> None:
    text = mac_run_markdown(replace(RUN, system=LINUX, timed=()), "parity")
    assert "passed (rehearsal)\n\n> **A rehearsal: no Mac ran this.**" in text


def test_an_artifact_that_did_not_answer_has_its_outcome_and_the_message() -> None:
    hung = replace(
        RUN.answered[0], outcome="hung", status="failed", vectors=0, calls=0, message="no answer within 300 s"
    )
    text = mac_run_markdown(replace(RUN, passed=False, answered=(hung,), timed=()), "parity")
    assert "## ❌ sasrec 1.0.0 on Core ML: failed" in text
    assert "| ❌ **hung** | nothing | no answer within 300 s |" in text


def test_what_nobody_asked_for_is_named_in_a_line() -> None:
    other = replace(RUN.answered[0], runtime="onnxruntime", outcome=NOT_ASKED, status="not_run")
    text = mac_run_markdown(replace(RUN, answered=(*RUN.answered, other)), "parity")
    assert "\nNot asked for: coreml/main on onnxruntime.\n" in text
    assert "| onnxruntime" not in text


def test_nothing_compared_is_no_pass() -> None:
    run = MacRun(problems=("nothing was compared: no such reference",))
    text = mac_run_markdown(run, "parity")
    assert "## ⚪ bundle on Core ML: not run" in text
    assert "- nothing was compared: no such reference" in text


def test_texts_of_files_stay_texts_and_in_their_line() -> None:
    run = replace(RUN, bundle=NASTY, signature=NASTY, problems=(NASTY,), tree_sha256=NASTY)
    text = mac_run_markdown(run, f"--> {NASTY}")
    assert text.splitlines()[0] == "<!-- pocketrec parity ___ a _ b__ _img src_x_ _someone -->"
    assert "\\<img" in text
    assert " <img" not in text
    assert "\n# " not in text
    assert " @someone" not in text


def test_a_comment_stays_within_what_a_comment_may_hold() -> None:
    long = replace(RUN.answered[0], outcome="crashed", status="failed", message="x" * 10_000)
    run = replace(RUN, answered=(long,) * 500, problems=("y" * 10_000,) * 500, timed=(TIMED,) * 500)
    text = mac_run_markdown(run, "parity")
    assert len(text) < 65_536
    assert "and 440 more, in the evidence" in text


@pytest.mark.parametrize(
    ("system", "version", "mac"),
    [(MAC, "macOS 15", True), (LINUX, "macOS 15", False), (MAC, "9.0", False), ("", "macOS 15", False)],
)
def test_both_the_machine_and_the_engine_say_what_they_are(system: str, version: str, mac: bool) -> None:
    assert is_mac(system, version) is mac
