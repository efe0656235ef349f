"""A job of a workflow in a clean folder: every `run:` of the YAML by bash, as a hosted machine calls it.

What a `uses:` names of others is stood in for by the few lines below, each as its documentation has it; our
own action is run step by step. Nothing here knows what a step is about.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from tests.ci.expressions import Scope, filled, holds

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "parity"
WORKFLOW = ROOT / ".github" / "workflows" / "parity.yml"
_BASH = ("bash", "--noprofile", "--norc", "-e", "-o", "pipefail")  # of `shell: bash`


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """What became of a step.

    Attributes:
        name: of the step, or what it uses.
        status: `success`, `failure` or `skipped`.
        said: by a script, stdout and stderr together.
    """

    name: str
    status: str
    said: str = ""


@dataclass(slots=True, kw_only=True)
class Job:
    """A machine and what a job has left on it.

    Attributes:
        workspace: the folder in which scripts run.
        temp: the runner's folder for what is gone after the job.
        store: of artifacts and caches, beyond the job.
        environment: of every script.
        github: the context of that name.
        given: outputs of steps that are not run again, by their id.
        last: the id of the step after which the job stops; empty where it goes to its end.
        outputs: of steps, by their id.
        steps: what became of each.
        failed: whether one failed.
        saves: what caches keep once the job has succeeded.
    """

    workspace: Path
    temp: Path
    store: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    github: Mapping[str, Any] = field(default_factory=dict)
    given: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    last: str = ""
    outputs: dict[str, Mapping[str, str]] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    failed: bool = False
    saves: list[tuple[Path, Path]] = field(default_factory=list)

    @property
    def summary(self) -> str:
        """What the job's page shows."""
        path = self.temp / "summary"
        return path.read_text(encoding="utf-8") if path.exists() else ""

    def status(self, name: str) -> str:
        """What became of the one step of that name."""
        (found,) = (each.status for each in self.steps if each.name == name)
        return found

    def said(self, name: str) -> str:
        """What a script printed."""
        (found,) = (each.said for each in self.steps if each.name == name)
        return found


def run_action(job: Job, inputs: Mapping[str, str], folder: Path = ACTION) -> None:
    """Runs our composite action."""
    action = yaml.safe_load((folder / "action.yml").read_text(encoding="utf-8"))
    defaults = {name: str(each.get("default", "")) for name, each in action["inputs"].items()}
    if unknown := set(inputs) - set(defaults):
        raise AssertionError(f"inputs that the action does not have: {sorted(unknown)}")
    for name, each in action["inputs"].items():
        assert not each.get("required") or name in inputs, f"input {name} is missing"
    own = {"GITHUB_ACTION_PATH": str(folder)}
    _run_steps(job, action["runs"]["steps"], {"inputs": {**defaults, **inputs}}, own)


def run_job(job: Job, name: str, workflow: Path = WORKFLOW) -> None:
    """Runs one job of the workflow, then what its caches do afterwards."""
    found = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"][name]
    _run_steps(job, found["steps"], {}, {})
    finish(job)


def finish(job: Job) -> None:
    """What caches do at the end of a job: they keep what is new, if it succeeded."""
    for path, place in job.saves if not job.failed else ():
        if path.is_dir():
            shutil.copytree(path, place, symlinks=True)


def _run_steps(
    job: Job, steps: list[dict[str, Any]], names: Mapping[str, Any], own: Mapping[str, str]
) -> None:
    outputs: dict[str, Mapping[str, str]] = dict(job.given)
    for number, step in enumerate(steps):
        known = {
            **names,
            "steps": {each: {"outputs": found} for each, found in outputs.items()},
            "github": {"token": "a-token", **job.github},
            "runner": {"os": "macOS", "arch": "ARM64", "temp": str(job.temp)},
        }
        scope = Scope(names=known, failed=job.failed)
        if step.get("id") in job.given:
            continue
        name = step.get("name") or step.get("uses", f"step {number}")
        if not holds(str(step.get("if", "true")), scope):
            job.steps.append(Step(name=name, status="skipped"))
            continue
        made, found = (_use if "uses" in step else _script)(job, name, step, scope, own)
        job.steps.append(made)
        job.failed |= made.status == "failure"
        if "id" in step:
            outputs[step["id"]] = found
            if step["id"] == job.last:
                break
    job.outputs.update(outputs)


def _script(
    job: Job, name: str, step: Mapping[str, Any], scope: Scope, own: Mapping[str, str]
) -> tuple[Step, dict[str, str]]:
    assert "${{" not in step["run"], (
        f"{name}: an expression in a script is a script of whoever sets its value"
    )
    script, output = job.temp / "step.sh", job.temp / "output"
    script.write_text(step["run"], encoding="utf-8")
    output.write_text("", encoding="utf-8")
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(job.temp / "home"),
        "LANG": "en_US.UTF-8",
        **{each: value for each, value in os.environ.items() if each.startswith(("PIP_", "SSL_"))},
        **job.environment,
        "CI": "true",
        "GITHUB_ACTIONS": "true",
        "GITHUB_OUTPUT": str(output),
        "GITHUB_REPOSITORY": str(job.github.get("repository", "")),
        "GITHUB_STEP_SUMMARY": str(job.temp / "summary"),
        "GITHUB_WORKSPACE": str(job.workspace),
        "RUNNER_TEMP": str(job.temp),
        **own,
        **{each: filled(str(value), scope) for each, value in step.get("env", {}).items()},
    }
    done = subprocess.run(
        [*_BASH, str(script)],
        cwd=job.workspace,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    status = "success" if done.returncode == 0 else "failure"
    lines = output.read_text(encoding="utf-8").splitlines()
    return Step(name=name, status=status, said=done.stdout), dict(each.split("=", 1) for each in lines)


def _use(
    job: Job, name: str, step: Mapping[str, Any], scope: Scope, own: Mapping[str, str]
) -> tuple[Step, dict[str, str]]:
    given = {each: filled(_text(value), scope) for each, value in step.get("with", {}).items()}
    used = str(step["uses"])
    if used.startswith("./"):
        run_action(job, given, job.workspace / used)
        return Step(name=name, status="failure" if job.failed else "success"), {}
    try:
        outputs = USED[used.partition("@")[0]](job, given)
    except NotDone as error:
        return Step(name=name, status="failure", said=str(error)), {}
    return Step(name=name, status="success"), outputs


class NotDone(Exception):
    """What a step uses failed."""


def _checkout(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    """The commit that is checked out here, with nothing beside it."""
    archive = subprocess.run(["git", "archive", "HEAD"], cwd=ROOT, capture_output=True, check=True).stdout
    subprocess.run(["tar", "-x"], cwd=job.workspace, input=archive, check=True)
    return {}


def _setup_python(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    assert given["python-version"] == f"{sys.version_info.major}.{sys.version_info.minor}"
    return {"python-path": str(Path(sys.base_prefix) / "bin" / "python3")}


def _cache(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    place = job.store / "caches" / given["key"]
    if place.is_dir():
        shutil.copytree(place, given["path"], symlinks=True)
        return {"cache-hit": "true"}
    job.saves.append((Path(given["path"]), place))
    return {"cache-hit": "false"}


def _upload(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    source = job.workspace / given["path"]
    files = [each for each in source.rglob("*") if each.is_file() and not _hidden(each.relative_to(source))]
    if not files and given.get("if-no-files-found") == "error":
        raise NotDone(f"No files were found with the provided path: {source}")
    for each in files:
        place = job.store / "artifacts" / given["name"] / each.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(each, place)
    return {}


def _download(job: Job, given: Mapping[str, str]) -> dict[str, str]:
    source = job.store / "artifacts" / given["name"]
    if not source.is_dir():
        raise NotDone(f"Artifact not found for name: {given['name']}")
    shutil.copytree(source, job.workspace / given["path"], dirs_exist_ok=True)
    return {}


def _hidden(path: Path) -> bool:
    """Whether an upload leaves it out, which it does with names that begin with a dot."""
    return any(each.startswith(".") for each in path.parts)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


USED: Mapping[str, Callable[[Job, Mapping[str, str]], dict[str, str]]] = {
    "actions/checkout": _checkout,
    "actions/setup-python": _setup_python,
    "actions/cache": _cache,
    "actions/upload-artifact": _upload,
    "actions/download-artifact": _download,
}
