"""Apple's Core ML framework, through coremltools; it exists on macOS only."""

from __future__ import annotations

import os
import platform
import sys
import warnings
from collections.abc import Mapping
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Self

import numpy as np

from pocketrec.errors import MissingExtra, UsageError
from pocketrec.validate.artifact.coreml import read_core_ml
from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.coreml_program.package import open_package
from pocketrec.validate.runtimes.compiled import CompiledModels
from pocketrec.validate.runtimes.faults import FrameworkFault, TooOldMacOS, fault_of, one_line
from pocketrec.validate.runtimes.private import PrivateCopy
from pocketrec.validate.runtimes.runtime import (
    REHEARSED,
    Array,
    Description,
    RuntimeUnavailable,
    as_taken,
    check_inputs,
    with_rounding,
)

UNITS = {
    "all": "ALL",
    "cpu_only": "CPU_ONLY",
    "cpu_and_gpu": "CPU_AND_GPU",
    "cpu_and_neural_engine": "CPU_AND_NE",
}
# Version of a package's specification to its deployment target and the macOS that reads it.
_MACOS = {
    5: ("iOS14", 11),
    6: ("iOS15", 12),
    7: ("iOS16", 13),
    8: ("iOS17", 14),
    9: ("iOS18", 15),
    10: ("iOS26", 26),
}


def unavailable_reason() -> str:
    """Why the framework cannot run here; empty on macOS."""
    if sys.platform == "darwin":
        return ""
    return (
        f"the Core ML framework exists only on macOS, and this is {sys.platform}; "
        "use the runtime 'coreml-interpreter'"
    )


def rehearsal() -> str:
    """What to say where the framework is not Apple's, as this is no Mac whatever Python says; else empty."""
    system = os.uname().sysname
    return "" if system == "Darwin" else f"{REHEARSED} {system}, no device"


def described(path: Path, function: str | None, compute_units: str) -> Description:
    """What the framework is to run and with what, read without it; the units are those allowed.

    Raises:
        RuntimeUnavailable: the framework is not here, or its macOS is too old for the package.
        UsageError: there are no such units, or no such function.
        ArtifactError: the package is damaged.
    """
    if reason := unavailable_reason():
        raise RuntimeUnavailable(f"{path.name}: {reason}")
    if compute_units not in UNITS:
        raise UsageError(f"compute_units {compute_units!r}: expected one of {', '.join(UNITS)}")
    version = platform.mac_ver()[0]
    whole = read_core_ml(path)
    _check_macos(path, whole.version, version)
    graph = whole.only(function)
    fake = rehearsal()
    return Description(
        runtime="coreml-framework",
        version=f"macOS {version}" + (f" ({fake})" if fake else ""),
        precision=with_rounding(precision_of(graph), graph.metadata),
        compute_units=f"allowed: {compute_units}",
        inputs=graph.inputs,
        outputs=graph.outputs,
        functions=whole.functions,
        metadata=graph.metadata,
    )


def _check_macos(path: Path, specification: str, version: str) -> None:
    """Checks that this macOS reads the package: a later specification makes loaders hang, crash or refuse."""
    least = _MACOS.get(int(specification.rpartition(" ")[2]))
    major = version.partition(".")[0]
    if least is not None and major.isdecimal() and int(major) < least[1]:
        raise TooOldMacOS(
            f"{path.name}: its deployment target {least[0]} needs macOS {least[1]}, and this is macOS "
            f"{version}; use a later macOS, or build it with a lower minimum_deployment_target"
        )


class CoreMLFramework:
    """A Core ML package on Apple's framework, in this process, which it may end; see `FrameworkProcess`.

    coremltools' loader rewrites Manifest.json of what it reads, so it is given a private copy until `close`.
    A program with states is given fresh ones for every call, as the interpreter gives them.

    Args:
        path: of the package.
        compute_units: what is asked for.
        function: of a package that holds several; by default the first.
        compiled: the folder of compiled models; None compiles anew.

    Attributes:
        load_ms: of the load, a compilation included where there was one.
        cached: whether the model was compiled before.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        compute_units: str = "all",
        function: str | None = None,
        compiled: Path | None = None,
    ) -> None:
        self._path = Path(path)
        self._said = described(self._path, function, compute_units)
        try:
            import coremltools as ct
        except ModuleNotFoundError:
            raise MissingExtra("coremltools", "build") from None
        package = open_package(self._path, strict=False)
        chosen = package.resolve(function)
        self._stateful = bool(package.functions[chosen].states)
        self._copy: PrivateCopy | None = None
        self._function = chosen if len(self._said.functions) > 1 else None
        start = perf_counter_ns()
        units = getattr(ct.ComputeUnit, UNITS[compute_units])
        self._model, self.cached = self._loaded(ct, units, compiled)
        self.load_ms = (perf_counter_ns() - start) / 1e6

    def _loaded(self, ct: Any, units: Any, folder: Path | None) -> tuple[Any, bool]:
        """The model, and whether it was compiled before."""
        if folder is None:
            return self._compiled(ct, units), False
        kept = CompiledModels(folder)
        key = kept.key(self._path, (self._said.version, ct.__version__))
        if (found := kept.find(key)) is not None:
            try:
                return ct.models.CompiledMLModel(str(found), units, self._function), True
            except Exception:  # of whatever reason it is, the package itself decides
                kept.discard(key)
        model = self._compiled(ct, units)
        kept.keep(key, Path(model.get_compiled_model_path()))
        return model, False

    def _compiled(self, ct: Any, units: Any) -> Any:
        """The model of a copy of the package; FrameworkFault where it is refused.

        coremltools makes a warning of what the framework says, keeps it, and gives a model that runs nothing.
        """
        self._copy = PrivateCopy(self._path)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)
                model = ct.models.MLModel(
                    str(self._copy.path), compute_units=units, function_name=self._function
                )
            if (kept := getattr(model, "_framework_error", None)) is not None:
                raise kept
            if getattr(model, "__proxy__", model) is None:
                raise RuntimeError("the framework gave no model, and said nothing")
        except Exception as error:
            self._copy.close()
            line = one_line(error)
            raise FrameworkFault(
                f"{self._path.name}: Core ML cannot load it ({line})", fault=fault_of(str(error), "refused")
            ) from error
        return model

    def describe(self) -> Description:
        """Inputs and outputs as the package says; the units are those allowed, not those proved used."""
        return self._said

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name; FrameworkFault where the framework fails."""
        inputs = as_taken(self._said.inputs, inputs)
        check_inputs(self._said.inputs, inputs, where=self._path.name)
        if self._model is None:
            raise UsageError(f"{self._path.name}: the runtime is closed; open the artifact again")
        try:
            given = (self._model.make_state(),) if self._stateful else ()
            values = self._model.predict(dict(inputs), *given)
        except Exception as error:
            raise FrameworkFault(
                f"{self._path.name}: Core ML failed: {one_line(error)}", fault=fault_of(str(error), "failed")
            ) from error
        return {name: np.asarray(value) for name, value in values.items()}

    def close(self) -> None:
        """Release the model and its copy; a second call does nothing."""
        self._model = None
        if self._copy is not None:
            self._copy.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def precision_of(graph: Graph) -> str:
    """`float16`, `float32` or both, as what the ops make says; casts alone are no arithmetic."""
    made = {graph.dtype(name) for op in graph.ops if op.type != "cast" for name in op.outputs}
    return ", ".join(sorted(made & {"float16", "float32"})) or "float32"
