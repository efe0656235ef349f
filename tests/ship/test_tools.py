"""A tool that cannot be set up is named with its reason, and the others are set up all the same."""

from __future__ import annotations

import shutil

import pytest
from tests.ship.tools import Missing, installed, missing_tools
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
