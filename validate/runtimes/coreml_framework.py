"""Apple's Core ML framework, through coremltools; it exists on macOS only."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from pocketrec.errors import ArtifactError, ExecutionError, MissingExtra, UsageError
from pocketrec.validate.artifact.coreml import read_core_ml
from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.runtimes.private import PrivateCopy
from pocketrec.validate.runtimes.runtime import (
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


def unavailable_reason() -> str:
    """Why the framework cannot run here; empty on macOS."""
    if sys.platform == "darwin":
        return ""
    return (
        f"the Core ML framework exists only on macOS, and this is {sys.platform}; "
        "use the runtime 'coreml-interpreter'"
    )


class CoreMLFramework:
    """A Core ML package on Apple's framework. `compute_units` is what is asked for, see `describe`.

    coremltools' loader rewrites Manifest.json of what it reads, so it is given a private copy until `close`.
    """

    def __init__(self, path: str | Path, *, compute_units: str = "all", function: str | None = None) -> None:
        reason = unavailable_reason()
        if reason:
            raise RuntimeUnavailable(f"{Path(path).name}: {reason}")
        if compute_units not in UNITS:
            raise UsageError(f"compute_units {compute_units!r}: expected one of {', '.join(UNITS)}")
        try:
            import coremltools as ct
        except ModuleNotFoundError:
            raise MissingExtra("coremltools", "build") from None
        self._path, self._units = Path(path), compute_units
        whole = read_core_ml(self._path)
        self._functions, graph = whole.functions, whole.only(function)
        self._inputs, self._outputs, self._metadata = graph.inputs, graph.outputs, graph.metadata
        self._precision = with_rounding(precision_of(graph), graph.metadata)
        chosen = graph.functions[0] if len(self._functions) > 1 else None
        self._copy = PrivateCopy(self._path)
        try:
            units = getattr(ct.ComputeUnit, UNITS[compute_units])
            self._model: Any = ct.models.MLModel(
                str(self._copy.path), compute_units=units, function_name=chosen
            )
        except Exception as error:
            self._copy.close()
            raise ArtifactError(f"{self._path.name}: Core ML cannot load it ({_line(error)})") from error

    def describe(self) -> Description:
        """Inputs and outputs as the package says; the units are those allowed, not those proved used."""
        import platform

        return Description(
            runtime="coreml-framework",
            version=f"macOS {platform.mac_ver()[0]}",
            precision=self._precision,
            compute_units=f"allowed: {self._units}",
            inputs=self._inputs,
            outputs=self._outputs,
            functions=self._functions,
            metadata=self._metadata,
        )

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name; ExecutionError where the framework fails."""
        inputs = as_taken(self._inputs, inputs)
        check_inputs(self._inputs, inputs, where=self._path.name)
        if self._model is None:
            raise UsageError(f"{self._path.name}: the runtime is closed; open the artifact again")
        try:
            values = self._model.predict(dict(inputs))
        except Exception as error:
            raise ExecutionError(f"{self._path.name}: Core ML failed: {_line(error)}") from error
        return {name: np.asarray(value) for name, value in values.items()}

    def close(self) -> None:
        """Release the model and its copy; a second call does nothing."""
        self._model = None
        self._copy.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def precision_of(graph: Graph) -> str:
    """`float16`, `float32` or both, as what the ops make says; casts alone are no arithmetic."""
    made = {graph.dtype(name) for op in graph.ops if op.type != "cast" for name in op.outputs}
    return ", ".join(sorted(made & {"float16", "float32"})) or "float32"


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
