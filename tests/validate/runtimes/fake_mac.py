"""A process that passes for a Mac, and whose children have the fake framework of `fake_framework/`."""

from __future__ import annotations

import importlib.util
import os
import platform
import sys
from pathlib import Path

import pytest
from coremltools.models import _compiled_model, model

FAKE = Path(__file__).parent / "fake_framework"


class Mac:
    """What the fake is told, by the environment of the processes that it runs in."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self._patch, self.folder = monkeypatch, folder
        monkeypatch.setattr(sys, "platform", "darwin")
        before = os.environ.get("PYTHONPATH")
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKE), *([before] if before else [])]))
        monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
        monkeypatch.setenv("FAKE_CORE_ML_COMPILATIONS", str(folder / "compilations"))
        self.is_macos("15.5")
        self.does("")

    def is_macos(self, version: str) -> None:
        self._patch.setenv("FAKE_CORE_ML_MACOS", version)
        self._patch.setattr(platform, "mac_ver", lambda: (version, ("", "", ""), "arm64"))

    def pretends_to_read(self, macos: str) -> None:
        """Reads no later specifications than that macOS does, whatever it says of itself."""
        self._patch.setenv("FAKE_CORE_ML_MACOS", macos)

    def does(self, rules: str) -> None:
        """What goes wrong from now on, as fake_libcoremlpython reads it."""
        self._patch.setenv("FAKE_CORE_ML", rules)

    def is_here(self) -> None:
        """Puts the fake framework into this process, too, for what neither hangs nor dies."""
        spec = importlib.util.spec_from_file_location("fake_core_ml", FAKE / "fake_libcoremlpython.py")
        assert spec is not None
        assert spec.loader is not None
        fake = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(fake)
        for module in (model, _compiled_model):
            self._patch.setattr(module, "_MLModelProxy", fake._MLModelProxy)
            self._patch.setattr(module, "_macos_version", lambda: (15, 5))

    @property
    def compilations(self) -> int:
        """How often the framework compiled a package."""
        log = self.folder / "compilations"
        return len(log.read_text().splitlines()) if log.exists() else 0
