"""Parts of a Core ML program: any of them is run op by op by the interpreter."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.coreml_program.constants import Folded
from pocketrec.validate.coreml_program.execute import Execution
from pocketrec.validate.coreml_program.kernels.states import State
from pocketrec.validate.coreml_program.package import open_package
from pocketrec.validate.coreml_program.plan import plan_function
from pocketrec.validate.coreml_program.values import Array, numpy_dtype, settle, widen


class CoreMLEngine:
    """The calls of one function's graph, of the package at `path`.

    An op gives the same numbers whatever is read beside it, so that what one call has computed serves
    the next one with the same given tensors.

    Raises:
        UnsupportedOp: names what the interpreter does not compute.
    """

    def __init__(self, path: Path, function: str, graph: Graph) -> None:
        del graph  # its calls are the plan's steps, in the same order
        self._function = open_package(path).reader.function(function)
        self._constants: dict[str, Folded] = {}
        self._plan = plan_function(self._function, self._constants)
        self._types = {
            **dict(self._function.inputs),
            **{name: kind for step in self._plan.steps for name, kind in step.operation.outputs},
        }
        self._states = [name for name, kind in self._function.inputs if kind.form == "state"]
        self._given: Mapping[str, Array] | None = None
        self._run = self._start({})

    @property
    def folded(self) -> Collection[str]:
        """What the plan computes once."""
        return self._constants.keys()

    def known(self, given: Mapping[str, Array]) -> Collection[str]:
        """The given tensors, and what was computed from them before; a state may be updated on the way."""
        if given is not self._given:
            self._given, self._run = given, self._start(given)
        return self._run.values.keys() - {*self._states}

    def run(
        self, places: Sequence[int], names: Sequence[str], given: Mapping[str, Array]
    ) -> dict[str, Array]:
        """The named tensors, by the interpreter on the steps at these places."""
        self.known(given)
        with np.errstate(all="ignore"):
            for place in places:
                step = self._plan.steps[place]
                results = self._run.step(step)
                for (name, _), value in zip(step.operation.outputs, results, strict=True):
                    self._run.values.setdefault(name, value)
        return {name: np.asarray(self._held(name)) for name in names}

    def _held(self, name: str) -> Any:
        return self._constants[name].wide() if name in self._constants else self._run.values[name]

    def _start(self, given: Mapping[str, Array]) -> Execution:
        held = {name: self._as_held(name, array) for name, array in given.items()}
        return Execution(
            values=held | {name: self._fresh(name) for name in self._states},
            constants=self._constants,
            accumulation="float32",
        )

    def _as_held(self, name: str, array: Array) -> Array:
        """The array in the tensor's declared dtype, as the interpreter holds it."""
        kind = self._types.get(name)
        return array if kind is None or kind.form != "tensor" else settle(array, kind.dtype)

    def _fresh(self, name: str) -> State:
        kind = self._types[name]
        return State(widen(np.zeros(tuple(size or 1 for size in kind.shape), numpy_dtype(kind.dtype))))
