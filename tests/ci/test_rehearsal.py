"""What hosted Macs are known to do is rehearsed: each has its name in the summary, and none of it a time."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.ci.job import Job
from tests.ci.rehearsal import CASES, PULL_REQUEST, Case, Machine, comments_of, evidence_of, rehearse

pytestmark = pytest.mark.ship

HONEST = CASES["an honest answer"]


def row(job: Job) -> dict[str, Any]:
    """The framework's row of what `verify` found."""
    rows: list[dict[str, Any]] = evidence_of(job, "verify.json")["replays"]
    (found,) = (each for each in rows if each["runtime"] == "coreml-framework")
    return found


@pytest.mark.parametrize("name", CASES)
def test_every_outcome_is_reached_and_named(machine: Machine, tmp_path: Path, name: str) -> None:
    case = CASES[name]
    job = rehearse(machine, case, tmp_path)
    assert job.outputs["verify"]["code"] == str(case.code), job.said("Verify")
    assert f"**{case.outcome}**" in job.summary, job.summary
    assert "(rehearsal)" in job.summary.splitlines()[1]
    assert "A rehearsal: no Mac ran this." in job.summary
    assert "p50" not in job.summary
    assert job.status("Judge") == ("success" if case.code == 0 else "failure")
    assert [each["body"] for each in comments_of(job)] == [job.summary]
    for step in ("Summary", "Evidence", "Comment"):
        assert job.status(step) == "success", job.said(step)


def test_what_passed_is_measured_on_each_units_and_no_time_is_shown(machine: Machine, tmp_path: Path) -> None:
    asked = {"measure": "cpu_only all", "runs": "4", "timeout": "60"}
    job = rehearse(machine, replace(HONEST, inputs=asked), tmp_path)
    assert job.status("Measure") == "success"
    for units in ("cpu_only", "all"):
        found = evidence_of(job, f"measured.coreml.main.{units}.json")
        assert found["side"]["measured"]["latency"]["calls"] == 4
        assert f"coreml/main on {units}: coreml-framework on Linux" in job.summary
    assert "its times say nothing of a device" in job.summary
    assert "Latency" not in job.summary


def test_units_that_hang_are_not_measured_and_the_others_are(machine: Machine, tmp_path: Path) -> None:
    asked = {"measure": "all cpu_only", "runs": "4", "timeout": "30"}
    job = rehearse(machine, replace(HONEST, fault="predict=hang@ALL", inputs=asked), tmp_path)
    assert job.outputs["verify"]["code"] == "0"
    assert evidence_of(job, "measured.coreml.main.all.json")["error"]["message"].startswith("hung")
    assert "coreml/main on all: hung" in job.summary
    assert evidence_of(job, "measured.coreml.main.cpu_only.json")["side"]["function"] == "main"
    assert job.status("Judge") == "success"


def test_nothing_that_failed_is_measured(machine: Machine, tmp_path: Path) -> None:
    zeros = CASES["all zeros on cpu_only"]
    job = rehearse(machine, replace(zeros, inputs={"measure": "cpu_only"}), tmp_path)
    assert job.status("Measure") == "skipped"


def test_compiled_models_are_restored_and_a_damaged_one_is_thrown_away(
    machine: Machine, tmp_path: Path
) -> None:
    log, store = tmp_path / "compilations", tmp_path / "store"

    def compiled(run: str) -> int:
        job = rehearse(machine, replace(HONEST, compilations=str(log)), tmp_path / run, store=store)
        assert row(job)["outcome"] == "passed"
        return len(log.read_text(encoding="utf-8").splitlines())

    assert compiled("first") == 1
    assert compiled("second") == 1, "it is restored"
    (kept,) = (store / "caches").iterdir()
    files = [each for each in kept.rglob("*") if each.is_file() and each.name != "sha256"]
    for each in files:
        each.write_bytes(b"damaged")
    assert files
    assert compiled("third") == 2


def test_a_later_run_replaces_its_comment_and_nobody_elses(machine: Machine, tmp_path: Path) -> None:
    job = rehearse(machine, HONEST, tmp_path / "first")
    mine = comments_of(job)[0]["body"].splitlines()[0]
    others = [
        {"id": 1, "user": {"type": "User"}, "body": f"{mine}\nsomebody quotes it"},
        {"id": 2, "user": {"type": "Bot"}, "body": "another bot's"},
    ]
    store = Path(job.environment["STAND_IN_COMMENTS"])
    store.write_text(json.dumps([*others, *comments_of(job)]), encoding="utf-8")
    again = rehearse(machine, CASES["an E5RT timeout"], tmp_path / "second", store=job.store)
    assert comments_of(again)[:2] == others
    assert [each["body"] for each in comments_of(again)[2:]] == [again.summary]
    assert "E5RT timeout" in again.summary


@pytest.mark.parametrize(
    "github",
    [
        {"event_name": "push", "event": {}},
        {"event": {"pull_request": {"number": 7, "head": {"repo": {"full_name": "fork/recommenders"}}}}},
    ],
    ids=["no pull request", "a fork"],
)
def test_without_a_right_to_comment_everything_else_is_done(
    machine: Machine, tmp_path: Path, github: dict[str, Any]
) -> None:
    job = rehearse(machine, HONEST, tmp_path, **{**PULL_REQUEST, **github})
    assert job.status("Comment") == "skipped"
    assert (job.status("Evidence"), job.status("Judge")) == ("success", "success")


def test_a_reference_that_leads_nowhere_is_said_where_people_look(machine: Machine, tmp_path: Path) -> None:
    lost = replace(HONEST, inputs={"bundle": "localhost:9/shop/absent:1.0.0"})
    job = rehearse(machine, lost, tmp_path)
    assert (job.status("Bundle"), job.status("Verify"), job.status("Judge")) == (
        "failure",
        "skipped",
        "failure",
    )
    assert "## ⚪ bundle on Core ML: not run" in job.summary
    assert "nothing was compared: error: " in job.summary
    assert job.status("Evidence") == "success"


def test_a_reference_is_pulled_before_it_is_proved(machine: Machine, tmp_path: Path) -> None:
    reference = f"{tmp_path}/releases:1.0"
    push = [f"{machine.installed['bin']}/pocketrec", "push", str(machine.bundle), reference]
    subprocess.run(push, check=True, capture_output=True)
    job = rehearse(machine, replace(HONEST, inputs={"bundle": reference, "only": "coreml"}), tmp_path)
    assert job.status("Judge") == "success", job.said("Verify")
    assert "Not asked for: coreml/main on coreml-interpreter." in job.summary


def test_a_bundle_that_nobody_signed_does_not_run(machine: Machine, tmp_path: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = ec.generate_private_key(ec.SECP256R1()).public_key()
    path = tmp_path / "key.pem"
    path.write_bytes(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    job = rehearse(machine, replace(HONEST, inputs={"key": str(path)}), tmp_path)
    assert job.outputs["verify"]["code"] == "10"
    assert job.status("Judge") == "failure"
    assert evidence_of(job, "verify.json")["replays"] == []


def test_a_case_that_comes_out_otherwise_fails_its_test(machine: Machine, tmp_path: Path) -> None:
    """The rehearsal is no decoration: told another outcome, it says so."""
    wrong = Case(fault="predict=e5rt", outcome="hung", code=14)
    job = rehearse(machine, wrong, tmp_path)
    assert f"**{wrong.outcome}**" not in job.summary
