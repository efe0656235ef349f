"""Where Swift is found, what its system sees of this one, and that half of one is never left."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest
from tests.swift import toolchain
from tests.swift.toolchain import (
    NoSwift,
    bound,
    entered,
    mirror,
    run_swift,
    set_up,
    shown,
    swift_is_there,
    unzip_is_there,
)


@pytest.fixture(autouse=True)
def nothing_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No Swift in the PATH, and an empty place for one."""
    monkeypatch.setattr(toolchain, "own_swift", lambda: None)
    monkeypatch.setenv(toolchain.PLACE, str(tmp_path / "root"))
    return tmp_path / "root"


def unpack(root: Path) -> None:
    swift = root / "usr/libexec/swift/bin/swift"
    swift.parent.mkdir(parents=True)
    swift.touch()


def test_a_folder_outside_of_the_tree_is_seen_by_a_swift_of_this_system_alone(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert shown(Path("build/swift"))
    assert shown(tmp_path)
    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(tmp_path / "other"))
    assert not shown(tmp_path / "build")
    monkeypatch.setattr(toolchain, "own_swift", lambda: "/usr/bin/swift")
    assert shown(tmp_path / "build")


def test_where_there_is_none_the_next_step_is_named(nothing_found: Path) -> None:
    assert not swift_is_there()
    with pytest.raises(NoSwift, match=r"run: python -m tests\.swift\.toolchain"):
        run_swift(Path())
    unpack(nothing_found)
    assert swift_is_there()


@pytest.mark.parametrize(
    ("said", "found"), [("Swift version 6.0.3", True), ("usage: swift [--os-username]", False)]
)
def test_a_command_of_the_same_name_is_no_compiler(
    said: str, found: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    command = tmp_path / "swift"
    command.write_text(f"#!/bin/sh\necho '{said}'\n")
    command.chmod(0o755)
    monkeypatch.undo()
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    toolchain.own_swift.cache_clear()
    assert (toolchain.own_swift() == str(command)) is found
    toolchain.own_swift.cache_clear()


def test_the_mirror_is_apts_own() -> None:
    """Updates alone have no system in them."""
    lines = "http://a/security x-security\nhttp://a/debian x-updates\nhttp://b/debian x\nhttp://c/debian y"
    assert mirror(lines) == "http://b/debian"
    with pytest.raises(NoSwift, match="no Debian mirror"):
        mirror("http://a/security x-security\n")


def test_nothing_is_shown_twice_or_within_another(tmp_path: Path) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    paths = [tmp_path / "a", tmp_path / "a/b", tmp_path / "none", tmp_path / "a"]
    assert list(bound(paths)) == [tmp_path / "a"]


def test_a_system_within_what_it_would_show_is_refused(tmp_path: Path) -> None:
    """The repository inside itself has no end for whoever reads it through."""
    with pytest.raises(NoSwift, match="lies in what it would show; name another place by "):
        entered(tmp_path / "root", tmp_path, ["swift"], mounts=True)


def test_without_mounts_the_system_is_entered_another_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    words = entered(Path("/nowhere/root"), Path("/proc"), ["swift", "build"], mounts=False)
    assert words[:4] == ["/usr/bin/proot", "-0", "--rootfs=/nowhere/root", "--cwd=/proc"]
    shown = [Path(each.removeprefix("--bind=")) for each in words if each.startswith("--bind=")]
    assert any(toolchain.ROOT.is_relative_to(each) for each in shown)
    assert words[-2:] == ["swift", "build"]
    words = entered(Path("/nowhere/root"), Path("/proc"), ["swift", "build"], mounts=True)
    assert words[:2] == ["/usr/bin/unshare", "-m"]
    assert words[-3:] == ["--", "swift", "build"]
    monkeypatch.setattr(shutil, "which", lambda name: None)
    with pytest.raises(NoSwift, match="there is no proot"):
        entered(Path("/nowhere/root"), Path("/proc"), ["swift"], mounts=False)


@pytest.fixture
def unpacking(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A set-up whose commands do as if; the last one fails where its list holds a word."""
    failing: list[str] = []

    def run(words: list[str]) -> str:
        if words[0] == "apt-get":
            return "http://a/debian x"
        made = Path(words[-2])
        unpack(made)
        (made / "usr/bin").mkdir()
        (made / "usr/bin/unzip").touch()
        (made / "usr/share/doc").mkdir(parents=True)
        if failing:
            raise NoSwift(failing[0])
        return ""

    monkeypatch.setattr(toolchain, "_output", run)
    monkeypatch.setattr(toolchain, "_install", lambda *names: None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    monkeypatch.setattr(toolchain, "can_mount", lambda: True)
    return failing


def test_a_set_up_that_ends_early_leaves_nothing(unpacking: list[str], nothing_found: Path) -> None:
    unpacking.append("interrupted")
    with pytest.raises(NoSwift, match="interrupted"):
        set_up()
    assert list(nothing_found.parent.iterdir()) == []
    unpacking.clear()
    assert set_up() == nothing_found
    assert swift_is_there()
    assert [each.name for each in nothing_found.parent.iterdir()] == ["root"]
    assert not (nothing_found / "usr/share/doc").exists()
    assert (nothing_found / "usr/bin/swift").is_symlink()


def test_a_system_of_before_gets_what_it_lacks_and_nothing_else(
    unpacking: list[str], nothing_found: Path
) -> None:
    set_up()
    (nothing_found / "usr/bin/unzip").unlink()
    (nothing_found / "mine").touch()
    assert not unzip_is_there()
    assert set_up() == nothing_found
    assert unzip_is_there()
    assert (nothing_found / "mine").exists()
    assert [each.name for each in nothing_found.parent.iterdir()] == ["root"]


def test_what_a_command_says_last_is_why_it_failed() -> None:
    with pytest.raises(NoSwift, match="sh failed: two"):
        toolchain._output(["sh", "-c", "echo one >&2; echo two >&2; exit 3"])


def test_where_it_cannot_be_set_up_the_reason_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert toolchain.main() == 1
    assert capsys.readouterr().err == (
        "Swift: not run, there is neither swift nor apt here; install Swift 6, and have it in the PATH\n"
    )


def test_an_own_swift_gets_the_stand_in_of_the_tree(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    given: dict[str, Any] = {}

    def run(words: list[str], folder: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
        given.update(environment, words=words)
        return subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(toolchain, "own_swift", lambda: "/usr/bin/swift")
    monkeypatch.setattr(toolchain, "_run", run)
    monkeypatch.setenv("POCKETREC_COREML_PAD_ROWS", "1")
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    run_swift(tmp_path, "test", environment={"POCKETREC_EXPECTED": "a.json"})
    assert given["words"] == ["/usr/bin/swift", "test"]
    assert Path(given["POCKETREC_COREML_LINUX"], "Package.swift").is_file()
    assert Path(given["POCKETREC"]).name == "pocketrec"
    assert (given["POCKETREC_COREML_PAD_ROWS"], given["POCKETREC_EXPECTED"]) == ("1", "a.json")
    assert given["OMP_NUM_THREADS"] == "3"  # numbers are summed alike on both sides
