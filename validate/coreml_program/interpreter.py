"""The interpreter as a runtime: load, describe, run, trace, profile, close."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np

from pocketrec.errors import InputError
from pocketrec.validate.coreml_program.constants import Folded
from pocketrec.validate.coreml_program.execute import Execution
from pocketrec.validate.coreml_program.package import open_package
from pocketrec.validate.coreml_program.plan import Schedule, Step, plan_function
from pocketrec.validate.coreml_program.program import Function
from pocketrec.validate.coreml_program.values import Array, numpy_dtype, widen
from pocketrec.validate.runtimes.runtime import Description, TensorSpec, as_taken, check_inputs, with_rounding

NAME = "coreml-interpreter"
Accumulation = Literal["float32", "float16"]
_ROWS = 8  # of a call: of SASRec's 50 × 64 numbers a row, so many stay in a processor's cache


@dataclass(frozen=True, slots=True, kw_only=True)
class OpTime:
    """Time that one op took in one run, in milliseconds, without the ops of its nested blocks."""

    op_type: str
    name: str
    time_ms: float


@dataclass(slots=True)
class _Loaded:
    function: Function
    plan: Schedule
    constants: dict[str, Folded] = field(default_factory=dict)


class CoreMLInterpreter:
    """A Core ML program executed by this package, on the CPU of any machine.

    Args:
        path: an .mlpackage or .mlmodel.
        function: which function `run` means; the package's default where it is None, see
            `Package.resolve`.
        accumulation: `float32`, or `float16` as a stress test of what a device may do.
    """

    def __init__(
        self, path: str | Path, *, function: str | None = None, accumulation: Accumulation = "float32"
    ) -> None:
        self._package = open_package(Path(path))
        self._accumulation = accumulation
        self._loaded: dict[str, _Loaded] = {}
        self._function = self._package.resolve(function)
        self._load(self._function)

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the package's functions, the default first."""
        default = self._package.default
        return (default, *(each for each in self._package.functions if each != default))

    @property
    def states(self) -> tuple[TensorSpec, ...]:
        """The states of the selected function, as `make_state` gives them."""
        return self._package.functions[self._function].states

    @property
    def about(self) -> Mapping[str, str]:
        """The description, author, license and version that the package states; only those it has."""
        return self._package.about

    def describe(self) -> Description:
        """Inputs and outputs of the selected function, and what executes them."""
        from pocketrec import __version__

        features = self._package.functions[self._function]
        return Description(
            runtime=NAME,
            version=__version__,
            precision=with_rounding(self._precision(), self._package.metadata),
            compute_units="cpu",
            inputs=features.inputs,
            outputs=features.outputs,
            functions=self.functions,
            metadata=self._package.metadata,
            rows=_ROWS,
        )

    def run(
        self,
        inputs: Mapping[str, Array],
        *,
        state: Mapping[str, Any] | None = None,
        function: str | None = None,
    ) -> dict[str, Array]:
        """All outputs by name, each of its declared dtype.

        Args:
            inputs: arrays of the declared dtypes and allowed shapes.
            state: what `make_state` gave; it is updated in place. A fresh one where it is None.
            function: another function than the selected one.
        """
        name, run = self._prepare(inputs, state, function)
        return self._execute(name, run)

    def trace(self, inputs: Mapping[str, Array], *, function: str | None = None) -> dict[str, Array]:
        """Every intermediate value by its MIL name, in the order of execution; float16 as float32."""
        name, run = self._prepare(inputs, None, function)
        seen: dict[str, Array] = {}

        def watch(step: Step, results: tuple[Any, ...], _: int) -> None:
            for (output, _kind), value in zip(step.operation.outputs, results, strict=True):
                seen[output] = value

        run.observer = watch
        self._execute(name, run)
        return seen

    def profile(self, inputs: Mapping[str, Array], *, function: str | None = None) -> tuple[OpTime, ...]:
        """The time of every op in one run, in the order of their ends; one of a loop comes once a turn."""
        name, run = self._prepare(inputs, None, function)
        times: list[OpTime] = []
        within: dict[str, int] = defaultdict(int)  # of ops that no enclosing op has counted yet

        def watch(step: Step, _: tuple[Any, ...], nanoseconds: int) -> None:
            operation = step.operation
            nested = sum(within.pop(each.operation.name, 0) for block in step.blocks for each in block.steps)
            within[operation.name] += nanoseconds
            own = (nanoseconds - nested) / 1e6
            times.append(OpTime(op_type=operation.type, name=operation.name, time_ms=own))

        run.observer = watch
        self._execute(name, run)
        return tuple(times)

    def make_state(self, function: str | None = None) -> dict[str, Any]:
        """Fresh zero states, by name, of the selected function or of another one."""
        from pocketrec.validate.coreml_program.kernels.states import State

        loaded = self._load(self._function if function is None else self._package.resolve(function))
        return {
            name: State(widen(np.zeros(tuple(size or 1 for size in kind.shape), numpy_dtype(kind.dtype))))
            for name, kind in loaded.function.inputs
            if kind.form == "state"
        }

    def with_accumulation(self, accumulation: Accumulation) -> CoreMLInterpreter:
        """The same function of the same package, accumulated so."""
        return CoreMLInterpreter(self._package.path, function=self._function, accumulation=accumulation)

    def close(self) -> None:
        """Forget plans and unmap the weights."""
        self._loaded.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _load(self, name: str) -> _Loaded:
        if name not in self._loaded:
            function = self._package.reader.function(name)
            constants: dict[str, Folded] = {}
            self._loaded[name] = _Loaded(function, plan_function(function, constants), constants)
        return self._loaded[name]

    def _prepare(
        self, inputs: Mapping[str, Array], state: Mapping[str, Any] | None, function: str | None
    ) -> tuple[str, Execution]:
        name = self._function if function is None else self._package.resolve(function)
        loaded = self._load(name)
        inputs = as_taken(self._package.functions[name].inputs, inputs)
        check_inputs(self._package.functions[name].inputs, inputs, where=self._package.path.name)
        values: dict[str, Any] = {each: widen(np.asarray(array)) for each, array in inputs.items()}
        states = [each for each, kind in loaded.function.inputs if kind.form == "state"]
        if states:
            given = self.make_state(name) if state is None else state
            missing = [each for each in states if each not in given]
            if missing:
                raise InputError(
                    f"{self._package.path.name}: state {missing[0]!r} is missing; use make_state()"
                )
            values.update({each: given[each] for each in states})
        run = Execution(
            values=values,
            constants=loaded.constants,
            accumulation=self._accumulation,
        )
        return name, run

    def _execute(self, name: str, run: Execution) -> dict[str, Array]:
        loaded = self._loaded[name]
        given = {id(value) for value in run.values.values()}
        with np.errstate(all="ignore"):
            results = run.block(loaded.plan)
        specs = {each.name: each for each in self._package.functions[name].outputs}
        return {
            output: _as_declared(value, specs.get(output), given)
            for output, value in zip(loaded.plan.outputs, results, strict=True)
        }

    def _precision(self) -> str:
        operations = self._loaded[self._function].function.block.operations
        dtypes = {kind.dtype for each in operations for _, kind in each.outputs if each.type != "const"}
        if "float16" not in dtypes:
            return "float32"
        return f"float16 storage, {self._accumulation} accumulation"


def _as_declared(value: Any, spec: TensorSpec | None, given: set[int]) -> Array:
    """The output in its declared dtype, in memory of its own: no view of an input, a state or a weight.

    A scalar is an array of one number, as the framework gives it.
    """
    array = np.atleast_1d(np.asarray(value))
    if spec is not None and array.dtype != spec.dtype:
        return array.astype(spec.dtype)
    shared = array.base is not None or not array.flags.writeable or id(value) in given
    return array.copy() if shared else array
