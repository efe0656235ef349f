"""Lets coremltools' own `MLModel.predict` run on systems without the Core ML framework.

coremltools reaches the framework through one class, `_MLModelProxy`. Here is one with the same
methods on top of the interpreter, so that checks, conversions and state objects stay coremltools'
own. Conventions of its bridge, coremlpython/CoreMLPythonUtils.mm: numbers are cast to the dtype
that an input declares, and float16 outputs come back as float32.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.errors import InputError, PocketrecError, UnsupportedOp, UsageError
from pocketrec.validate.coreml_program import patches
from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter
from pocketrec.validate.coreml_program.values import Array, widen
from pocketrec.validate.runtimes.runtime import TensorSpec

# What coremltools' checks shall see: a system new enough for states and every specification version.
_MACOS_VERSION = (15, 6)
_SPECIFICATION_VERSION = 10


def install(*, replace_framework: bool = False) -> None:
    """Makes models that coremltools loads from now on predict with the interpreter.

    Args:
        replace_framework: on macOS, take the framework's place; without it that is a UsageError.
    """
    if sys.platform == "darwin" and not replace_framework:
        raise UsageError(
            "the Core ML framework itself predicts on macOS; pass replace_framework=True to compare with it"
        )
    patches.replace_framework(
        {
            "_MLModelProxy": ModelProxy,
            "_is_macos": lambda: True,
            "_macos_version": lambda: _MACOS_VERSION,
        }
    )


def uninstall() -> None:
    """Puts back what `install` replaced; a second call does nothing."""
    patches.restore_framework()


class ModelProxy:
    """A loaded model as coremltools' MLModel drives it.

    A model that cannot be loaded raises at its first prediction, so that it can still be inspected.
    """

    def __init__(
        self,
        path: str,
        compute_units: str = "CPU_ONLY",
        function_name: str = "",
        optimization_hints: Mapping[str, str] | None = None,
        asset: object = None,
    ) -> None:
        self._path = Path(path)
        self._error: PocketrecError | None = None
        self._interpreter: CoreMLInterpreter | None = None
        self._last_ns: int | None = None
        begin = time.perf_counter_ns()
        try:
            self._interpreter = CoreMLInterpreter(path, function=function_name or None)
            self._inputs = {spec.name: spec for spec in self._interpreter.describe().inputs}
            self._is_stateful = bool(self._interpreter.make_state())
        except PocketrecError as error:
            self._error = error
        self._load_ns = time.perf_counter_ns() - begin

    @staticmethod
    def maximum_supported_specification_version() -> int:
        """The newest specification that is loaded; 9 is iOS18."""
        return _SPECIFICATION_VERSION

    @staticmethod
    def get_available_compute_devices() -> list[Any]:
        """No list: compute devices are objects of the framework."""
        raise UnsupportedOp("compute devices exist only with the Core ML framework; this runs on the CPU")

    def get_compiled_model_path(self) -> str:
        """No path: nothing is compiled."""
        raise UnsupportedOp(f"{self._path.name}: the interpreter does not compile; use the package itself")

    def get_load_duration_in_nano_seconds(self) -> int:
        """The time that loading took."""
        return self._load_ns

    def get_last_predict_duration_in_nano_seconds(self) -> int | None:
        """The time of the last prediction; None before the first."""
        return self._last_ns

    def predict(self, data: Mapping[str, Any], state: StateProxy | None = None) -> dict[str, Any]:
        """All outputs by name; float16 ones as float32."""
        interpreter = self._ready()
        if state is None and self._is_stateful:
            raise InputError(f"{self._path.name}: the model has states; pass state=model.make_state()")
        inputs = {name: self._as_declared(name, value) for name, value in data.items()}
        begin = time.perf_counter_ns()
        outputs = interpreter.run(inputs, state=None if state is None else state.values)
        self._last_ns = time.perf_counter_ns() - begin
        return {name: widen(value) for name, value in outputs.items()}

    def batchPredict(self, batch: list[Mapping[str, Any]]) -> list[dict[str, Any]]:  # noqa: N802 - the bridge's name
        """One prediction after the other."""
        return [self.predict(data) for data in batch]

    def newState(self) -> StateProxy:  # noqa: N802 - the bridge's name
        """A state of zeros."""
        return StateProxy(self._ready().make_state(), self._path.name)

    def _ready(self) -> CoreMLInterpreter:
        if self._interpreter is None:
            assert self._error is not None
            raise self._error
        return self._interpreter

    def _as_declared(self, name: str, value: Any) -> Array:
        array = np.asarray(value)
        spec = self._inputs.get(name)
        return array if spec is None else _cast(array, spec, self._path.name)


class StateProxy:
    """The states of one conversation, which predictions update in place."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        self.values = values
        self._where = where

    def read_state(self, name: str) -> Array:
        """A copy of the state of that name; float16 as float32."""
        return np.array(self._known(name).value)

    def write_state(self, name: str, value: Any) -> None:
        """Sets the state of that name to `value`, rounded to its dtype."""
        holder, given = self._known(name), np.asarray(value)
        if given.shape != holder.value.shape:
            expected = list(holder.value.shape)
            raise InputError(
                f"{self._where}: state {name!r} has shape {list(given.shape)}; expected {expected}"
            )
        # Core ML's states are float16, whatever they are given.
        holder.value = widen(given.astype(np.float16)).astype(holder.value.dtype)

    def _known(self, name: str) -> Any:
        if name not in self.values:
            known = ", ".join(self.values)
            raise InputError(f"{self._where}: no state {name!r}; expected one of {known}")
        return self.values[name]


def _cast(array: Array, spec: TensorSpec, where: str) -> Array:
    """The numbers in the dtype of `spec`; InputError where an integer cannot hold one."""
    wanted = np.dtype(spec.dtype)
    if array.dtype == wanted:
        return array
    if array.dtype.kind not in "biuf":
        raise InputError(f"{where}: input {spec.name!r} is {array.dtype}; expected numbers, {spec.dtype}")
    if wanted.kind == "i" and array.size:
        limits = np.iinfo(wanted)
        low, high = array.min(), array.max()
        if not (limits.min <= low and high <= limits.max):
            raise InputError(
                f"{where}: input {spec.name!r} holds {low} to {high}; expected what {spec.dtype} can hold"
            )
    with np.errstate(over="ignore"):
        return array.astype(wanted)
