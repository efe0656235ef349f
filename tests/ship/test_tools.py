"""A tool that cannot be set up is named with its reason, and the others are set up all the same."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from tests.package.registry.tools import NoTool, place
from tests.ship import tools
from tests.ship.tools import Missing, environment, installed, missing_tools
from tests.swift.toolchain import NoSwift


def test_what_cannot_be_set_up_is_named() -> None:
    asked: list[str] = []

    def fail() -> None:
        raise Missing("no apt here")

    def fail_without_apt() -> None:
        raise NoTool("there is no apt")

    def fail_too() -> None:
        raise NoSwift("no mirror")

    asks = {"a": fail, "b": lambda: asked.append("b"), "swift": fail_too, "oras": fail_without_apt}
    assert missing_tools(asks) == {"a": "no apt here", "swift": "no mirror", "oras": "there is no apt"}
    assert asked == ["b"]


def test_without_apt_the_way_to_install_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, path=None: None)
    with pytest.raises(Missing, match=r"nginx is not installed; install it, .*apt-get install nginx"):
        installed("nginx", "nginx")


def test_what_was_unpacked_is_found_by_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    assert "POCKETREC_COSIGN" not in environment()
    place().mkdir(parents=True)
    (place() / "cosign").touch(0o755)
    assert environment()["POCKETREC_COSIGN"] == str(place() / "cosign")
    assert environment()["PATH"].split(os.pathsep)[0] == str(place())


def test_what_a_program_says_at_its_end_is_the_reason() -> None:
    with pytest.raises(Missing, match="sh failed: no room"):
        tools._run(["sh", "-c", "echo first >&2; echo no room >&2; exit 3"])
