"""From a path to a loaded runtime, and which runtimes this machine has."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path

from pocketrec.errors import UsageError
from pocketrec.validate.runtimes.runtime import Runtime

_BY_SUFFIX = {
    ".onnx": ("onnxruntime",),
    ".mlpackage": ("coreml-framework", "coreml-interpreter"),
    ".mlmodel": ("coreml-framework", "coreml-interpreter"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeStatus:
    """Whether this machine has an engine.

    Attributes:
        name: the engine's name.
        available: True where it can run here.
        version: of the package that brings it; empty where it is not installed.
        reason: why it is not available and what to install; empty where it is.
    """

    name: str
    available: bool
    version: str = ""
    reason: str = ""


def open_artifact(
    path: str | Path, runtime: str | None = None, *, threads: int = 1, function: str | None = None
) -> Runtime:
    """The artifact at `path`, loaded.

    Args:
        path: a .onnx file or an .mlpackage folder.
        runtime: the engine's name; by default the framework on macOS and the interpreter elsewhere
            for Core ML, ONNX Runtime for ONNX.
        threads: for engines that let it be set.
        function: of an artifact that holds several; by default the first.

    Raises:
        UsageError: the path, its suffix, the runtime or the function leads nowhere; says what would.
        ArtifactError: the file is damaged.
    """
    path = Path(path)
    choices = _BY_SUFFIX.get(path.suffix)
    if choices is None:
        raise UsageError(f"{path}: suffix {path.suffix!r} is unknown; expected {', '.join(_BY_SUFFIX)}")
    if runtime is not None and runtime not in choices:
        raise UsageError(
            f"{path.name}: runtime {runtime!r} cannot load {path.suffix}; expected {' or '.join(choices)}"
        )
    if not path.exists():
        raise UsageError(f"{path}: no such artifact; pass the path of a .onnx file or an .mlpackage folder")
    if runtime is None:
        runtime = next(name for name in choices if name != "coreml-framework" or sys.platform == "darwin")
    return _OPENERS[str(runtime)](path, threads, function)


def _open_onnx(path: Path, threads: int, function: str | None) -> Runtime:
    from pocketrec.validate.runtimes.onnx_runtime import OnnxRuntime

    loaded = OnnxRuntime(path, threads=threads)
    held = loaded.describe().metadata.get("pocketrec.function")
    if None not in (function, held) and function != held:
        loaded.close()
        raise UsageError(f"{path.name}: no function {function!r}; expected {held}, the only one it holds")
    return loaded


def _open_framework(path: Path, threads: int, function: str | None) -> Runtime:
    from pocketrec.validate.runtimes.coreml_framework import CoreMLFramework

    return CoreMLFramework(path, function=function)


def _open_interpreter(path: Path, threads: int, function: str | None) -> Runtime:
    from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter

    return CoreMLInterpreter(path, function=function)


_OPENERS: dict[str, Callable[[Path, int, str | None], Runtime]] = {
    "onnxruntime": _open_onnx,
    "coreml-interpreter": _open_interpreter,
    "coreml-framework": _open_framework,
}


def available_runtimes() -> list[RuntimeStatus]:
    """Every engine that pocketrec knows, with its version or what to do to get it; imports none."""
    from pocketrec.validate.runtimes.coreml_framework import unavailable_reason

    framework = _status("coreml-framework", "coremltools", "pip install coremltools")
    if framework.available and unavailable_reason():
        framework = RuntimeStatus(
            name=framework.name, available=False, version=framework.version, reason=unavailable_reason()
        )
    return [
        _status("pytorch", "torch", "pip install 'pocketrec[build]'"),
        _status("onnxruntime", "onnxruntime", "pip install onnxruntime"),
        _status("coreml-interpreter", "coremltools", "pip install coremltools"),
        framework,
    ]


def _status(name: str, package: str, install: str) -> RuntimeStatus:
    if util.find_spec(package) is None:
        return RuntimeStatus(name=name, available=False, reason=f"{package} is not installed; run: {install}")
    return RuntimeStatus(name=name, available=True, version=metadata.version(package))
