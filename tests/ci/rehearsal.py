"""The workflow where there is no Mac: its own scripts, with stand-ins for what only a Mac or GitHub has.

    checkout, wheel, bundle     the workflow's job `bundle`; a toy bundle stands in for the demo's
    install                     the action's own step, with pip, once; everything after it once a case
    Core ML                     the fake of tests/validate/runtimes/fake_framework, which answers with the
                                interpreter and does what hosted machines are known to do
    gh, sw_vers                 tests/ci/stand_ins

Whatever a case shows says that it was rehearsed, and no time of it is shown.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.ci.job import ROOT, Job, finish, run_action, run_job

FAKE = ROOT / "tests" / "validate" / "runtimes" / "fake_framework"
STAND_INS = Path(__file__).parent / "stand_ins"
REPOSITORY = "shop/recommenders"
PULL_REQUEST = {
    "event_name": "pull_request",
    "repository": REPOSITORY,
    "event": {"pull_request": {"number": 7, "head": {"repo": {"full_name": REPOSITORY}}}},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What the fake does, what is asked for, and what has to come of it.

    Attributes:
        fault: of FAKE_CORE_ML, see the fake.
        outcome: that the artifact has to have, in words.
        code: that `verify` has to end with.
        inputs: of the action, beside the bundle.
        macos: that the fake passes for; empty for a machine without the fake.
        compilations: a file to which the fake writes a line for each model that it compiles.
    """

    fault: str = ""
    outcome: str
    code: int
    inputs: Mapping[str, str] = field(default_factory=dict)
    macos: str = "26.1"
    compilations: str = ""


_QUICK = {"timeout": "2"}
# What hosted machines are known to do, and a few ends beside it.
CASES: Mapping[str, Case] = {
    "an honest answer": Case(outcome="passed", code=0),
    "an honest answer amid noise on stdout": Case(fault="predict=print", outcome="passed", code=0),
    "a load that hangs": Case(fault="load=hang", outcome="hung", code=14, inputs=_QUICK),
    "a call that hangs": Case(fault="predict=hang@CPU_ONLY", outcome="hung", code=14, inputs=_QUICK),
    "SIGABRT with all units": Case(
        fault="load=abort@ALL", outcome="crashed", code=14, inputs={"compute-units": "all"}
    ),
    "the Neural Engine that hangs": Case(
        fault="load=hang@CPU_AND_NE",
        outcome="hung",
        code=14,
        inputs={**_QUICK, "compute-units": "cpu_and_neural_engine"},
    ),
    "a loader that crashes, as with MLState": Case(fault="load=segv", outcome="crashed", code=14),
    "a crash when it is called": Case(fault="predict=segv", outcome="crashed", code=14),
    "an end without a word": Case(fault="load=exit", outcome="crashed", code=14),
    "all zeros on cpu_only": Case(fault="predict=zeros@CPU_ONLY", outcome="wrong answer: all zeros", code=1),
    "an E5RT timeout": Case(fault="predict=e5rt", outcome="E5RT timeout", code=14),
    "a load failure of which coremltools makes a warning": Case(
        fault="load=refuse", outcome="refused to load", code=1
    ),
    "a call that is an error": Case(fault="predict=refuse", outcome="failed to run", code=1),
    "bytes that are no answer": Case(fault="predict=garble", outcome="no readable answer", code=14),
    "other scores": Case(fault="predict=noise:0.5", outcome="wrong answer", code=1),
    "a macOS before the deployment target": Case(outcome="not run: macOS is too old", code=14, macos="13.6"),
    "no Core ML at all": Case(outcome="not run: not there", code=1, macos=""),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is the same for every case.

    Attributes:
        bundle: that is proved.
        installed: outputs of the action's step `install`, with a real environment in it.
        wheels: the folder with the wheel that the workflow built.
        store: of artifacts.
    """

    bundle: Path
    installed: Mapping[str, str]
    wheels: Path
    store: Path


def set_up(bundle: Path, folder: Path) -> Machine:
    """Runs the workflow's first job, and of the second what comes before the bundle is looked at."""
    store = folder / "store"
    build = _job(folder / "build", store, {"STAND_IN_BUNDLE": str(bundle)})
    run_job(build, "bundle")
    assert not build.failed, build.steps
    prove = _job(folder / "install", store, {})
    prove.last = "install"
    run_job(prove, "parity")
    assert prove.status("Install") == "success", prove.steps
    return Machine(
        bundle=prove.workspace / "build" / "sasrec",
        installed=prove.outputs["install"],
        wheels=prove.workspace / "dist",
        store=store,
    )


def rehearse(machine: Machine, case: Case, folder: Path, *, store: Path | None = None, **github: Any) -> Job:
    """Runs the action on what the machine has, as far as it comes.

    Args:
        machine: with everything installed.
        case: what Core ML does.
        folder: of this run alone.
        store: with artifacts, caches and comments of earlier runs; a new one by default.
        github: other than that of a pull request.
    """
    fake = {
        "PYTHONPATH": str(FAKE),
        "FAKE_CORE_ML": case.fault,
        "FAKE_CORE_ML_MACOS": case.macos,
        **({"FAKE_CORE_ML_COMPILATIONS": case.compilations} if case.compilations else {}),
    }
    job = _job(folder, store or folder / "store", fake if case.macos else {}, **github)
    place = job.temp / "pocketrec"
    (place / "evidence").mkdir(parents=True, exist_ok=True)
    own = {"evidence": str(place / "evidence"), "cache": str(place / "cache")}
    job.given = {"python": {}, "install": {**machine.installed, **own}}
    inputs = {"bundle": str(machine.bundle), "measure": "", **case.inputs}
    run_action(job, inputs)
    finish(job)
    return job


def evidence_of(job: Job, name: str) -> Any:
    """A JSON file of the evidence that was uploaded."""
    return json.loads((job.store / "artifacts" / "parity" / name).read_text(encoding="utf-8"))


def comments_of(job: Job) -> list[dict[str, Any]]:
    """The pull request's."""
    path = Path(job.environment["STAND_IN_COMMENTS"])
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else []


def _job(folder: Path, store: Path, environment: Mapping[str, str], **github: Any) -> Job:
    workspace, temp = folder / "work", folder / "temp"
    for each in (workspace, temp, store):
        each.mkdir(parents=True, exist_ok=True)
    given = {
        "PATH": f"{STAND_INS}{os.pathsep}{os.environ['PATH']}",
        "STAND_IN_COMMENTS": str(store / "comments.json"),
        "OMP_NUM_THREADS": "1",
        **environment,
    }
    context = {**PULL_REQUEST, **github}
    return Job(workspace=workspace, temp=temp, store=store, environment=given, github=context)
