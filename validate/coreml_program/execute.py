"""Runs a function op by op: plans once, rounds every result, forgets what is no longer used."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from pocketrec.errors import ArtifactError, ExecutionError, PocketrecError, UnsupportedOp
from pocketrec.validate.coreml_program.kernels import KERNELS
from pocketrec.validate.coreml_program.program import Block, Constant, Function, Operation, Reference
from pocketrec.validate.coreml_program.values import ValueType, settle, widen

# What this interpreter leaves out, and why.
LEFT_OUT = {
    "custom_layer": "its code is the application's",
    "classify": "class labels are the application's; read the probabilities",
}
Observer = Callable[["Step", tuple[Any, ...], int], None]


@dataclass(slots=True, kw_only=True)
class Step:
    """An op ready to run: its kernel, where its arguments come from, and what its results become."""

    operation: Operation
    kernel: Callable[..., Any] | None
    constants: dict[str, Constant]
    references: tuple[tuple[str, str], ...]
    variadic: dict[str, tuple[Any, ...]]
    raw: bool
    wants_context: bool
    blocks: tuple[Plan, ...]
    forget: tuple[str, ...] = ()
    loaded: dict[str, Any] | None = None


@dataclass(slots=True, kw_only=True)
class Plan:
    """A block's steps, with the names that come in and go out."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)


@dataclass(slots=True)
class OpContext:
    """What a kernel may ask for beyond its inputs."""

    step: Step
    run: Run

    @property
    def op_type(self) -> str:
        """The op's type."""
        return self.step.operation.type

    @property
    def name(self) -> str:
        """The op's name."""
        return self.step.operation.name

    @property
    def output_types(self) -> tuple[ValueType, ...]:
        """The declared types of the op's outputs."""
        return tuple(each for _, each in self.step.operation.outputs)

    @property
    def accumulation(self) -> str:
        """`float32`, or `float16` in the stress mode."""
        return self.run.accumulation

    @property
    def rng(self) -> np.random.Generator:
        """The run's generator."""
        return self.run.rng

    @property
    def blocks(self) -> int:
        """How many nested blocks the op has."""
        return len(self.step.blocks)

    def run_block(self, index: int, args: Sequence[Any]) -> tuple[Any, ...]:
        """What nested block `index` gives for these arguments."""
        plan = self.step.blocks[index]
        self.run.values.update(zip(plan.inputs, args, strict=True))
        return self.run.block(plan)


def plan_function(function: Function, constants: dict[str, Any]) -> Plan:
    """The function's plan; `constants` is filled with the values that no input changes.

    Raises:
        UnsupportedOp: names an op that has no kernel.
        ArtifactError: names a value that is used and nowhere made.
    """
    plan = _plan_block(function.block, constants, top=True)
    _check_names(plan, {*constants, *(name for name, _ in function.inputs)}, f"function {function.name!r}")
    return plan


def _check_names(plan: Plan, known: set[str], where: str) -> None:
    known.update(plan.inputs)
    for step in plan.steps:
        for block in step.blocks:
            _check_names(block, known, _where(step))
        for name in _uses(step):
            if name not in known:
                raise ArtifactError(f"{_where(step)}: uses {name!r}, which nothing makes; pull it again")
        known.update(name for name, _ in step.operation.outputs)
    for name in plan.outputs:
        if name not in known:
            raise ArtifactError(f"{where}: gives {name!r}, which nothing makes; pull it again")


def _plan_block(block: Block, constants: dict[str, Any], *, top: bool = False) -> Plan:
    plan = Plan(inputs=block.inputs, outputs=block.outputs)
    for operation in block.operations:
        if operation.type == "const":
            constant = operation.inputs["val"][0]
            assert isinstance(constant, Constant)
            constants[operation.outputs[0][0]] = _Folded(constant.load)
        else:
            _add_step(plan, operation, constants)
    if top:
        _mark_last_uses(plan, constants)
    return plan


def _add_step(plan: Plan, operation: Operation, constants: dict[str, Any]) -> None:
    kernel = KERNELS.get(operation.type)
    if kernel is None:
        reason = LEFT_OUT.get(operation.type, "no kernel computes it")
        raise UnsupportedOp(
            f"op {operation.type} ({operation.name}) is not supported: {reason}; "
            "run it on the Core ML framework"
        )
    step = Step(
        operation=operation,
        kernel=kernel,
        constants={},
        references=(),
        variadic={},
        raw=operation.type == "gather",
        wants_context="op" in inspect.signature(kernel).parameters,
        blocks=tuple(_plan_block(each, constants) for each in operation.blocks),
    )
    references = []
    for name, bindings in operation.inputs.items():
        if name in _VARIADIC or len(bindings) != 1:
            step.variadic[name] = bindings
        elif isinstance(bindings[0], Reference):
            references.append((name, bindings[0].name))
        else:
            step.constants[name] = bindings[0]
    step.references = tuple(references)
    if operation.type.startswith("constexpr_"):
        constants[operation.outputs[0][0]] = _constexpr(step, constants)
        for position, (name, _) in enumerate(operation.outputs[1:], start=1):
            constants[name] = _Folded(partial(_result, step, constants, position))
    else:
        plan.steps.append(step)


# Inputs that are lists even where they hold a single value.
_VARIADIC = frozenset({"values", "loop_vars", "elem_shape", "ref_tensors", "begins", "ends", "end_masks"})


class _Folded:
    """A value that is the same in every run, computed when it is first used."""

    __slots__ = ("_make", "_raw", "_wide")

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make, self._raw, self._wide = make, None, None

    def raw(self) -> Any:
        """As stored: a float16 table is not widened."""
        if self._raw is None:
            self._raw = self._make()
        return self._raw

    def wide(self) -> Any:
        """As kernels take it."""
        if self._wide is None:
            self._wide = _argument(self.raw())
        return self._wide


def _constexpr(step: Step, constants: dict[str, Any]) -> _Folded:
    if step.operation.type == "constexpr_cast" and "source_val" in step.constants:
        # A float16 table read as float32: a gather takes its rows before they are widened.
        return _Folded(step.constants["source_val"].load)
    return _Folded(partial(_result, step, constants, 0))


def _result(step: Step, constants: dict[str, Any], position: int) -> Any:
    run = Run(values={}, constants=constants, accumulation="float32", rng=np.random.default_rng(0))
    return run.step(step)[position]


def _mark_last_uses(plan: Plan, constants: Mapping[str, Any]) -> None:
    last: dict[str, int] = {}
    for position, step in enumerate(plan.steps):
        for name in _uses(step):
            last[name] = position
        for name, _ in step.operation.outputs:
            last.setdefault(name, position)
    kept = {*plan.outputs, *constants}
    by_step: dict[int, list[str]] = {}
    for name, position in last.items():
        if name not in kept:
            by_step.setdefault(position, []).append(name)
    for position, names in by_step.items():
        plan.steps[position].forget = tuple(names)


def _uses(step: Step) -> list[str]:
    names = [name for _, name in step.references]
    for bindings in step.variadic.values():
        names += [each.name for each in bindings if isinstance(each, Reference)]
    for block in step.blocks:
        names += block.outputs
        for inner in block.steps:
            names += _uses(inner)
    return names


@dataclass(slots=True, kw_only=True)
class Run:
    """One execution: values by name, and who watches."""

    values: dict[str, Any]
    constants: Mapping[str, Any]
    accumulation: str
    rng: np.random.Generator
    observer: Observer | None = None
    keep: bool = False

    def block(self, plan: Plan) -> tuple[Any, ...]:
        """The block's outputs."""
        values = self.values
        for step in plan.steps:
            begin = time.perf_counter_ns() if self.observer else 0
            results = self.step(step)
            if self.observer:
                self.observer(step, results, time.perf_counter_ns() - begin)
            for (name, _), value in zip(step.operation.outputs, results, strict=True):
                values[name] = value
            if not self.keep:
                for name in step.forget:
                    values.pop(name, None)
        return tuple(self.value(name) for name in plan.outputs)

    def value(self, name: str, *, raw: bool = False) -> Any:
        """The value of that name; stored form where `raw`."""
        if name in self.values:
            return self.values[name]
        folded = self.constants[name]
        return folded.raw() if raw else folded.wide()

    def step(self, step: Step) -> tuple[Any, ...]:
        """The op's results, each of its declared type."""
        try:
            if step.loaded is None:
                step.loaded = {name: _argument(each.load()) for name, each in step.constants.items()}
            arguments = dict(step.loaded)
            for name, source in step.references:
                arguments[name] = self.value(source, raw=step.raw and name == "x")
            for name, bindings in step.variadic.items():
                arguments[name] = [self._bound(each) for each in bindings]
            if step.wants_context:
                arguments["op"] = OpContext(step, self)
            assert step.kernel is not None
            given = step.kernel(**arguments)
        except PocketrecError as error:
            raise _located(error, step) from error
        except (ValueError, IndexError, TypeError, KeyError, AttributeError, FloatingPointError) as error:
            message = " ".join(str(error).split())
            raise ExecutionError(f"{_where(step)}: {type(error).__name__}: {message}") from error
        return self._settled(step, given)

    def _bound(self, binding: Any) -> Any:
        if isinstance(binding, Reference):
            return self.value(binding.name)
        return _argument(binding.load())

    @staticmethod
    def _settled(step: Step, given: Any) -> tuple[Any, ...]:
        outputs = step.operation.outputs
        results = given if isinstance(given, tuple) else (given,)
        if len(results) < len(outputs):
            raise ExecutionError(f"{_where(step)}: gave {len(results)} values for {len(outputs)} outputs")
        return tuple(
            settle(value, kind.dtype)
            if kind.form == "tensor" and isinstance(value, np.ndarray | np.generic | float | int | bool)
            else value
            for value, (_, kind) in zip(results, outputs, strict=False)
        )


def _argument(value: Any) -> Any:
    """A constant as kernels take it."""
    if isinstance(value, np.bool_):
        return bool(value)
    return widen(np.asarray(value))[()] if isinstance(value, np.ndarray | np.generic) else value


def _where(step: Step) -> str:
    return f"op {step.operation.type} ({step.operation.name})"


def _located(error: PocketrecError, step: Step) -> PocketrecError:
    text = str(error)
    return error if text.startswith("op ") else type(error)(f"{_where(step)}: {text}")
