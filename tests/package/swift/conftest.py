"""The host's Swift compiled beside a program that replays what Python wrote; not run where no compiler is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from tests.swift.toolchain import run_built, run_swift, swift_is_there

from pocketrec.package import swift
from pocketrec.package.swift.index import index_of

HARNESS = Path(__file__).parent / "harness"
TREE = Path(swift.__file__).parent / "templates/package"
SUPPORT = ("Replay.swift.j2", "Plain.swift.j2")
Harness = Callable[[str, Path, Any], dict[str, Any]]


def write_vocabulary(folder: Path, name: str, words: Mapping[str, tuple[str, ...]]) -> None:
    """A vocabulary's files and their index, as a package has them."""
    folder.mkdir(parents=True, exist_ok=True)
    data = {key: "".join(f"{each}\n" for each in lines).encode() for key, lines in words.items()}
    for key, each in data.items():
        suffix = "" if key == "tokens" else f".{key}"
        (folder / f"{name}{suffix}.txt").write_bytes(each)
    (folder / f"{name}.index").write_bytes(index_of(data["tokens"], data.get("titles")))


@pytest.fixture(scope="session")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Harness:
    """A command of the compiled program, given a folder and what it asks; what it found."""
    if not swift_is_there():
        pytest.skip("not run: no Swift compiler is here")
    package = tmp_path_factory.mktemp("swift") / "harness"
    shutil.copytree(HARNESS, package)
    shutil.copytree(TREE / "Sources/Host", package / "Sources/Host")
    for each in SUPPORT:
        text = (TREE / "Tests/Support" / each).read_text(encoding="utf-8").replace("{{ module }}", "Host")
        (package / "Sources/Harness" / each.removesuffix(".j2")).write_text(text, encoding="utf-8")
    built = run_swift(package, "build", "-j", "2")
    assert built.returncode == 0, built.stdout
    assert "warning:" not in built.stdout

    def run(command: str, folder: Path, given: Any) -> dict[str, Any]:
        (folder / "given.json").write_text(json.dumps(given), encoding="utf-8")
        done = run_built(package, ".build/debug/Harness", command, str(folder))
        assert done.returncode == 0, done.stdout
        return dict(json.loads((folder / "found.json").read_text(encoding="utf-8")))

    return run
