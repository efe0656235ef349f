"""A Core ML program as a graph: any part of it is run op by op by the interpreter."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.origin import ORIGINS, Origin, from_text, origins_key
from pocketrec.validate.artifact.graph import GraphOp, slice_ops
from pocketrec.validate.coreml_program.constants import Folded
from pocketrec.validate.coreml_program.execute import Run
from pocketrec.validate.coreml_program.kernels.states import State
from pocketrec.validate.coreml_program.package import open_package
from pocketrec.validate.coreml_program.plan import plan_function
from pocketrec.validate.coreml_program.program import Block, Operation, Reference
from pocketrec.validate.coreml_program.values import Array, numpy_dtype, settle, widen


class CoreMLGraph:
    """One function of the package at `path`; its default function where `function` is None.

    An op gives the same numbers whatever is read beside it, so that what one call has computed serves
    the next one with the same given tensors.
    """

    def __init__(self, path: Path, *, function: str | None = None) -> None:
        package = open_package(path)
        chosen = package.resolve(function)
        self.name = path.name
        self._origins = package.metadata.get(origins_key(chosen), package.metadata.get(ORIGINS))
        self._function = package.reader.function(chosen)
        self._constants: dict[str, Folded] = {}
        self._plan = plan_function(self._function, self._constants)
        features = package.functions[chosen]
        self.inputs = features.inputs
        self.outputs = tuple(self._plan.outputs)
        self.ops = tuple(_op(step.operation, self._constants) for step in self._plan.steps)
        self._types = {
            **dict(self._function.inputs),
            **{name: kind for step in self._plan.steps for name, kind in step.operation.outputs},
        }
        self.is_narrow = any(kind.dtype == "float16" for kind in self._types.values())
        self._given: Mapping[str, Array] | None = None
        self._run = self._start({})

    @property
    def origins(self) -> Mapping[str, Origin]:
        """The table in the model's metadata."""
        return from_text(self._origins, where=self.name) if self._origins is not None else {}

    def dtype(self, name: str) -> str:
        """As declared."""
        return self._types[name].dtype if name in self._types else ""

    def evaluate(self, names: Sequence[str], given: Mapping[str, Array]) -> dict[str, Array]:
        """The named tensors, by the interpreter on the ops that lead to them."""
        if given is not self._given:
            self._given, self._run = given, self._start(given)
        run = self._run
        with np.errstate(all="ignore"):
            for place in slice_ops(self.ops, names, self._known()):
                step = self._plan.steps[place]
                results = run.step(step)
                for (name, _), value in zip(step.operation.outputs, results, strict=True):
                    run.values.setdefault(name, value)
        return {name: np.asarray(self._held(name)) for name in names}

    def _held(self, name: str) -> Any:
        return self._constants[name].wide() if name in self._constants else self._run.values[name]

    def _known(self) -> set[str]:
        return self._run.values.keys() - {
            name for name, kind in self._function.inputs if kind.form == "state"
        }

    def _start(self, given: Mapping[str, Array]) -> Run:
        return Run(
            values={name: self._as_held(name, array) for name, array in given.items()} | self._states(),
            constants=self._constants,
            accumulation="float32",
        )

    def _as_held(self, name: str, array: Array) -> Array:
        """The array in the tensor's declared dtype, as the interpreter holds it."""
        kind = self._types.get(name)
        return array if kind is None or kind.form != "tensor" else settle(array, kind.dtype)

    def _states(self) -> dict[str, State]:
        return {
            name: State(widen(np.zeros(tuple(size or 1 for size in kind.shape), numpy_dtype(kind.dtype))))
            for name, kind in self._function.inputs
            if kind.form == "state"
        }


def _op(operation: Operation, constants: Mapping[str, Any]) -> GraphOp:
    read = dict.fromkeys(name for name in _read(operation) if name not in constants)
    return GraphOp(
        type=operation.type,
        name=operation.name,
        inputs=tuple(read),
        # An update makes its state anew: what reads the state later depends on it.
        outputs=(*(name for name, _ in operation.outputs), *_updated(operation)),
    )


def _updated(operation: Operation) -> Iterator[str]:
    if operation.type in ("write_state", "coreml_update_state"):
        for name in ("state", "input"):
            bindings = operation.inputs.get(name, ())
            yield from (each.name for each in bindings if isinstance(each, Reference))


def _read(operation: Operation) -> Iterator[str]:
    """The values that an op reads, those that its blocks take from outside among them."""
    for bindings in operation.inputs.values():
        yield from (each.name for each in bindings if isinstance(each, Reference))
    for block in operation.blocks:
        yield from _read_block(block)


def _read_block(block: Block) -> Iterator[str]:
    own = set(block.inputs)
    for inner in block.operations:
        yield from (name for name in _read(inner) if name not in own)
        own.update(name for name, _ in inner.outputs)
    yield from (name for name in block.outputs if name not in own)
