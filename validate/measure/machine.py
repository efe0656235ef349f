"""Where figures come from: this machine, and the versions of the tools on it."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from pocketrec.report import Machine

_TOOLS = ("pocketrec", "torch", "onnx", "onnxruntime", "onnxscript", "coremltools", "numpy", "scikit-learn")


def this_machine() -> Machine:
    """System, processor, cores this process may use, memory in GiB, and Python's version."""
    return Machine(
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        processor=_processor(),
        cores=_cores(),
        memory_gb=_memory_gb(),
        python=platform.python_version(),
    )


def tool_versions() -> dict[str, str]:
    """Package name to version, for those of the tools that are installed."""
    versions = {}
    for name in _TOOLS:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return versions


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            return value.strip()
    return platform.processor() or platform.machine()


def _memory_gb() -> float:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, OSError, ValueError):  # not on every system
        return 0.0
