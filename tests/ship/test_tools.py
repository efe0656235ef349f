"""A tool that cannot be set up is named with its reason, and the others are set up all the same."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tests.ship import tools
from tests.ship.tools import Missing, environment, installed, missing_tools, place, unpacked
from tests.swift.toolchain import NoSwift


def test_what_cannot_be_set_up_is_named() -> None:
    asked: list[str] = []

    def fail() -> None:
        raise Missing("no apt here")

    def fail_too() -> None:
        raise NoSwift("no mirror")

    tools = {"a": fail, "b": lambda: asked.append("b"), "swift": fail_too}
    assert missing_tools(tools) == {"a": "no apt here", "swift": "no mirror"}
    assert asked == ["b"]


def test_without_apt_the_way_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(Missing, match=r"nginx is not installed; install it, .*apt-get install nginx"):
        installed("nginx", "nginx")
    with pytest.raises(
        Missing, match="cosign is not installed, and there is no apt here; have it in the PATH"
    ):
        unpacked("cosign")


def test_a_program_that_was_unpacked_is_found_and_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    place().mkdir(parents=True)
    (place() / "cosign").touch(0o755)
    unpacked("cosign")
    assert environment()["POCKETREC_COSIGN"] == str(place() / "cosign")


def test_a_package_without_its_program_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(tools, "_is_here", lambda command: False)
    monkeypatch.setattr(tools, "_downloaded", lambda package, folder: folder / "cosign.deb")
    monkeypatch.setattr(tools, "_run", lambda words, folder=None: "")
    with pytest.raises(Missing, match=r"cosign\.deb holds no usr/bin/cosign"):
        unpacked("cosign")
    assert list(place().iterdir()) == []


def test_what_a_program_says_at_its_end_is_the_reason() -> None:
    with pytest.raises(Missing, match="sh failed: no room"):
        tools._run(["sh", "-c", "echo first >&2; echo no room >&2; exit 3"])
