"""Where figures come from is read off the system, whatever it does not say."""

from __future__ import annotations

import os
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest

from pocketrec.validate.measure.machine import this_machine, tool_versions


def test_a_machine_has_cores_memory_and_a_name() -> None:
    found = this_machine()
    assert found.cores >= 1
    assert found.memory_gb >= 0
    assert found.system
    assert found.python.startswith("3.")


def test_the_cores_are_those_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {2, 5, 7}, raising=False)
    assert this_machine().cores == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert this_machine().cores == 1


@pytest.mark.parametrize(
    ("text", "name"), [("processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\n", "Some CPU @ 2 GHz"), ("", "")]
)
def test_the_processor_is_the_one_that_linux_names(
    monkeypatch: pytest.MonkeyPatch, text: str, name: str
) -> None:
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "")
    assert this_machine().processor == name


def test_a_system_that_does_not_say_its_memory_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> int:
        raise ValueError(name)

    monkeypatch.setattr(os, "sysconf", unknown)
    assert this_machine().memory_gb == 0.0


def test_tools_that_are_not_installed_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> Any:
        if name == "numpy":
            return "2.0"
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert tool_versions() == {"numpy": "2.0"}
