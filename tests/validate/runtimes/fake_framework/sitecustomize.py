"""A fake of Apple's Core ML for a process that is started with this folder in PYTHONPATH.

coremltools runs as it is, and takes this for a Mac; what it reaches in the framework, `libcoremlpython`, is
`fake_libcoremlpython` beside this file. Nothing here is a device: pocketrec tells by the system's own name
that this is no Mac, and says "rehearsal" wherever it says what ran.

    FAKE_CORE_ML        what goes wrong, see fake_libcoremlpython; nothing by default
    FAKE_CORE_ML_MACOS  the macOS that this passes for; 15.5 by default
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import platform
import sys
import sysconfig
import types
from pathlib import Path

HERE = Path(__file__).parent
VERSION = os.environ.setdefault("FAKE_CORE_ML_MACOS", "15.5")


class _Framework(importlib.abc.MetaPathFinder):
    """Finds `coremltools.libcoremlpython`, which no coremltools for Linux has, in this folder."""

    def find_spec(
        self, name: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != "coremltools.libcoremlpython":
            return None
        file = HERE / "fake_libcoremlpython.py"
        return importlib.util.spec_from_file_location(name, file)


def pass_for_a_mac() -> None:
    sysconfig.get_config_vars()  # from a module that is named after the platform; kept from now on
    sys.platform = "darwin"
    platform.mac_ver = lambda *_, **__: (VERSION, ("", "", ""), "arm64")
    proxies = types.ModuleType("_scproxy")  # which urllib asks on a Mac
    proxies._get_proxies = dict  # type: ignore[attr-defined]
    proxies._get_proxy_settings = dict  # type: ignore[attr-defined]
    sys.modules["_scproxy"] = proxies
    sys.modules["torch"] = sys.modules["sklearn"] = None  # type: ignore[assignment]  # as where nobody builds
    sys.meta_path.insert(0, _Framework())
    os.environ["PATH"] = f"{HERE / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"  # for `sw_vers`


pass_for_a_mac()
