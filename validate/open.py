"""From a path to a loaded runtime or to a graph, and which runtimes this machine has.

A format's suffix is compared nowhere else in `validate`: `FORMATS` says what opens it, and who knows more
formats hands in a table of its own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module, metadata, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pocketrec.errors import UsageError, meant
from pocketrec.validate.runtimes.runtime import Runtime

if TYPE_CHECKING:
    from pocketrec.validate.artifact.graph import Graph


@dataclass(frozen=True, slots=True, kw_only=True)
class Format:
    """How the artifacts of one suffix are opened; places are `module:attribute`, imported when used.

    Attributes:
        reader: of a function from a path to its Graph.
        runtimes: the engines by name, the preferred one first, each the place of a function from path
            and `Options` to a Runtime.
    """

    reader: str
    runtimes: Mapping[str, str]


_CORE_ML = Format(
    reader="pocketrec.validate.artifact.coreml:read_core_ml",
    runtimes={
        "coreml-framework": "pocketrec.validate.open:open_framework",
        "coreml-interpreter": "pocketrec.validate.open:open_interpreter",
    },
)
FORMATS: Mapping[str, Format] = {
    ".onnx": Format(
        reader="pocketrec.validate.artifact.onnx:read_onnx",
        runtimes={
            "onnxruntime": "pocketrec.validate.open:open_onnx",
            "web-wasm": "pocketrec.validate.open:open_web_wasm",
            "web-webgpu": "pocketrec.validate.open:open_web_webgpu",
        },
    ),
    ".mlpackage": _CORE_ML,
    ".mlmodel": _CORE_ML,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How an artifact is opened, in one piece, so that no layer on the way leaves a part out.

    Attributes:
        function: of an artifact that holds several; by default the first.
        threads: for engines that let it be set.
        compute_units: that Core ML's framework may use; means nothing to other engines.
        timeout: seconds in which that framework has to have answered everything; None for a limit of
            each answer.
    """

    function: str | None = None
    threads: int = 1
    compute_units: str = "all"
    timeout: float | None = None


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


Load = Callable[[Path, Options], Runtime]


def format_of(path: Path, formats: Mapping[str, Format] = FORMATS) -> Format:
    """The format of the artifact at `path`, by its suffix; UsageError for a suffix that none has."""
    if path.suffix not in formats:
        known = ", ".join(formats)
        raise UsageError(f"{path}: suffix {path.suffix!r} is unknown; expected {known}")
    return formats[path.suffix]


def no_artifact(path: Path, formats: Mapping[str, Format] = FORMATS) -> UsageError:
    """What to raise where `path` is no artifact that can be read; says whether anything is there."""
    there = "" if path.exists() else "no such file or folder; "
    known = ", ".join(formats)
    return UsageError(f"{path}: {there}expected a bundle, or an artifact that ends in one of {known}")


def open_graph(path: Path, *, formats: Mapping[str, Format] = FORMATS) -> Graph:
    """The graph of the artifact at `path`, all its functions included.

    Raises:
        UsageError: there is no such artifact, or its suffix is another one.
        ArtifactError: the file is damaged.
    """
    read: Callable[[Path], Graph] = attribute_at(format_of(path, formats).reader)
    return read(path)


def attribute_at(place: str) -> Any:
    """What stands at a place `module:attribute`."""
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def open_artifact(
    path: str | Path,
    runtime: str | None = None,
    *,
    threads: int = 1,
    function: str | None = None,
    compute_units: str = "all",
    timeout: float | None = None,
    formats: Mapping[str, Format] = FORMATS,
) -> Runtime:
    """The artifact at `path`, loaded.

    Args:
        path: a .onnx file or an .mlpackage folder.
        runtime: the engine's name; by default the framework on macOS and the interpreter elsewhere
            for Core ML, ONNX Runtime for ONNX.
        threads: see `Options`, as for the next three.
        function: likewise.
        compute_units: likewise.
        timeout: likewise.
        formats: what opens an artifact, by suffix.

    Raises:
        UsageError: the path, its suffix, the runtime or the function leads nowhere; says what would.
        ArtifactError: the file is damaged.
    """
    path = Path(path)
    chosen = runtime_for(path, runtime, formats=formats)
    load: Load = attribute_at(format_of(path, formats).runtimes[chosen])
    options = Options(function=function, threads=threads, compute_units=compute_units, timeout=timeout)
    return load(path, options)


def runtime_for(path: Path, runtime: str | None = None, *, formats: Mapping[str, Format] = FORMATS) -> str:
    """The name of the engine that loads an artifact; arguments and errors as for `open_artifact`."""
    choices = format_of(path, formats).runtimes
    if runtime is not None and runtime not in choices:
        raise UsageError(f"{path.name}: {_not_loading(runtime, path.suffix, choices, formats)}")
    if not path.exists():
        raise UsageError(f"{path}: no such artifact; pass the path of a .onnx file or an .mlpackage folder")
    if runtime is None:
        runtime = next(name for name in choices if name != "coreml-framework" or sys.platform == "darwin")
    return runtime


def _not_loading(runtime: str, suffix: str, choices: Mapping[str, str], formats: Mapping[str, Format]) -> str:
    """Why a runtime does not load artifacts of that suffix: nobody knows it, or it is another format's."""
    known = dict.fromkeys(name for each in formats.values() for name in each.runtimes)
    if runtime in known:
        return f"runtime {runtime!r} cannot load {suffix}; expected {' or '.join(choices)}"
    return f"unknown runtime {runtime!r}; expected one of {', '.join(known)}{meant(runtime, known)}"


def open_onnx(path: Path, options: Options) -> Runtime:
    """The .onnx file on ONNX Runtime; UsageError where it says that it holds another function."""
    from pocketrec.validate.runtimes.onnx_runtime import OnnxRuntime

    return _only(OnnxRuntime(path, threads=options.threads), path, options.function)


def open_web_wasm(path: Path, options: Options) -> Runtime:
    """The .onnx file in a browser on WebAssembly; UsageError where it holds another function."""
    from pocketrec.validate.runtimes.web_runtime import WebRuntime

    return _only(WebRuntime(path, "wasm", options.threads), path, options.function)


def open_web_webgpu(path: Path, options: Options) -> Runtime:
    """The .onnx file in a browser on WebGPU; UsageError where it holds another function."""
    from pocketrec.validate.runtimes.web_runtime import WebRuntime

    return _only(WebRuntime(path, "webgpu", options.threads), path, options.function)


def _only(loaded: Runtime, path: Path, function: str | None) -> Runtime:
    """The runtime of a file that holds one function, which must be the one that is asked for."""
    held = loaded.describe().metadata.get("pocketrec.function")
    if None not in (function, held) and function != held:
        loaded.close()
        raise UsageError(f"{path.name}: no function {function!r}; expected {held}, the only one it holds")
    return loaded


def open_framework(path: Path, options: Options) -> Runtime:
    """The package on Apple's framework, in a process of its own; it sets its threads itself."""
    from pocketrec.validate.runtimes.framework_process import FrameworkProcess

    return FrameworkProcess(
        path, compute_units=options.compute_units, function=options.function, timeout=options.timeout
    )


def open_interpreter(path: Path, options: Options) -> Runtime:
    """The package on the interpreter, whose threads are NumPy's."""
    from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter

    return CoreMLInterpreter(path, function=options.function)


def available_runtimes() -> list[RuntimeStatus]:
    """Every engine that pocketrec knows, with its version or what to do to get it; imports none."""
    from pocketrec.validate.runtimes.coreml_framework import unavailable_reason
    from pocketrec.validate.runtimes.web_places import found_here

    framework = _status("coreml-framework", "coremltools", "pip install coremltools")
    if framework.available and unavailable_reason():
        framework = RuntimeStatus(
            name=framework.name, available=False, version=framework.version, reason=unavailable_reason()
        )
    version, reason = found_here()
    browser = (
        RuntimeStatus(name=name, available=not reason, version=version, reason=reason)
        for name in ("web-wasm", "web-webgpu")
    )
    return [
        _status("pytorch", "torch", "pip install 'pocketrec[build]'"),
        _status("onnxruntime", "onnxruntime", "pip install onnxruntime"),
        _status("coreml-interpreter", "coremltools", "pip install coremltools"),
        framework,
        *browser,
    ]


def _status(name: str, package: str, install: str) -> RuntimeStatus:
    if util.find_spec(package) is None:
        return RuntimeStatus(name=name, available=False, reason=f"{package} is not installed; run: {install}")
    return RuntimeStatus(name=name, available=True, version=metadata.version(package))
