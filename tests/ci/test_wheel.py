"""The wheel that the workflow built runs where there is no PyTorch."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.ci.rehearsal import Machine

pytestmark = pytest.mark.ship
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run(machine: Machine, tmp_path: Path) -> Run:
    def called(*words: object) -> subprocess.CompletedProcess[str]:
        command = [f"{machine.installed['bin']}/{words[0]}", *map(str, words[1:])]
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
        return subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment
        )

    return called


def test_there_is_no_pytorch_and_no_path_into_this_work_tree(machine: Machine, run: Run) -> None:
    code = "import importlib.util as u, pocketrec; print(u.find_spec('torch'), pocketrec.__file__)"
    said = run("python", "-c", code).stdout
    assert said.startswith("None ")
    assert said.split()[1].startswith(str(Path(machine.installed["bin"]).parent))


def test_verify_and_inspect(machine: Machine, run: Run) -> None:
    done = run("pocketrec", "verify", machine.bundle, "--json")
    assert done.returncode == 0, done.stderr
    statuses = {each["runtime"]: each["status"] for each in json.loads(done.stdout)["replays"]}
    assert (statuses["coreml-interpreter"], statuses["onnxruntime"]) == ("passed", "passed")
    assert statuses["coreml-framework"] == "not_run"
    shown = run("pocketrec", "inspect", machine.bundle, "--json")
    assert shown.returncode == 0, shown.stderr
    assert "coreml" in shown.stdout


def test_a_release_is_pulled_and_verified(machine: Machine, run: Run, tmp_path: Path) -> None:
    place = f"{tmp_path}/releases:1.0"
    pushed = run("pocketrec", "push", machine.bundle, place)
    assert pushed.returncode == 0, pushed.stderr
    pulled = run("pocketrec", "pull", place, "--only", "coreml", "--out", tmp_path / "part")
    assert pulled.returncode == 0, pulled.stderr
    done = run("pocketrec", "verify", tmp_path / "part", "--json")
    assert done.returncode == 0, done.stderr
    assert {each["target"] for each in json.loads(done.stdout)["replays"]} == {"coreml"}
