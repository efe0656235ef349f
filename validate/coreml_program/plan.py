"""A function as steps that are ready to run: constants bound, and what no input changes folded."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from pocketrec.errors import ArtifactError, ExecutionError, PocketrecError, UnsupportedOp
from pocketrec.validate.coreml_program.constants import Folded, LongConstant, cut, long_axis, stored
from pocketrec.validate.coreml_program.kernels import KERNELS
from pocketrec.validate.coreml_program.program import Binding, Block, Constant, Function, Operation, ValueName
from pocketrec.validate.coreml_program.values import ValueType, numpy_dtype, settle

# What this interpreter leaves out, and why.
LEFT_OUT = {
    "custom_layer": "its code is the application's",
    "classify": "class labels are the application's; read the probabilities",
}
# Inputs that are lists even where they hold a single value.
_VARIADIC = frozenset({"values", "loop_vars", "elem_shape", "ref_tensors", "begins", "ends", "end_masks"})
# Ops that take `x` as stored and read a part of it, so that a float16 table is not widened as a whole.
_READS_PART = frozenset({"gather", "gather_along_axis", "gather_nd", "slice_by_index", "slice_by_size"})
# Inputs of which these ops read parts, so that a large table is never computed as a whole.
_READS_TABLE: dict[str, tuple[str, ...]] = {"gather": ("x",), "linear": ("weight",), "matmul": ("x", "y")}
# Ops whose results are numbers of these inputs: float16 ones need no rounding.
MOVES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(_READS_PART, ("x",)),
    **dict.fromkeys(("expand_dims", "reshape", "reverse", "split", "squeeze", "tile", "transpose"), ("x",)),
    **dict.fromkeys(("identity", "reduce_max", "reduce_min", "relu", "topk"), ("x",)),
    **dict.fromkeys(("maximum", "minimum"), ("x", "y")),
    **dict.fromkeys(("concat", "stack"), ("values",)),
    "select": ("a", "b"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One output of a step: its declared type, and the dtype of arrays that already are of it."""

    type: ValueType
    ready: np.dtype[Any] | None

    def of(self, value: Any) -> Any:
        """The kernel's value as one of the declared type."""
        if type(value) is np.ndarray and value.dtype is self.ready:
            return value
        if self.type.form != "tensor" or not isinstance(value, np.ndarray | np.generic | float | int | bool):
            return value
        return settle(value, self.type.dtype)


@dataclass(slots=True, kw_only=True)
class Step:
    """An op ready to run: its kernel, where its arguments come from, and what its results become."""

    operation: Operation
    kernel: Callable[..., Any]
    constants: dict[str, Folded]
    references: tuple[tuple[str, str], ...]
    variadic: dict[str, tuple[str | Folded, ...]]
    results: tuple[Result, ...]
    wants_context: bool
    blocks: tuple[Schedule, ...]
    forget: tuple[str, ...] = ()
    loaded: dict[str, Any] | None = None

    def arguments(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The kernel's arguments: constants, and `values` by the names that the step refers to."""
        if self.loaded is None:
            self.loaded = {name: self._load(name, each) for name, each in self.constants.items()}
        arguments = self.loaded.copy()
        for name, source in self.references:
            arguments[name] = values[source]
        for name, bindings in self.variadic.items():
            arguments[name] = [values[each] if isinstance(each, str) else each.wide() for each in bindings]
        return arguments

    def _load(self, name: str, constant: Folded) -> Any:
        kind = self.operation.type
        table = constant.table() if name in _READS_TABLE.get(kind, ()) else None
        if table is not None:
            return table
        return constant.raw() if name == "x" and kind in _READS_PART else constant.wide()

    def settled(self, given: Any) -> tuple[Any, ...]:
        """What the kernel gave, each of its declared type."""
        values = given if isinstance(given, tuple) else (given,)
        if len(values) < len(self.results):
            raise ExecutionError(f"gave {len(values)} values for {len(self.results)} outputs")
        return tuple([each.of(value) for each, value in zip(self.results, values, strict=False)])

    def fault(self, error: Exception) -> PocketrecError:
        """The error with the op's type and name before it."""
        if not isinstance(error, PocketrecError):
            message = " ".join(str(error).split())
            return ExecutionError(f"{where(self)}: {type(error).__name__}: {message}")
        text = str(error)
        return error if text.startswith("op ") else type(error)(f"{where(self)}: {text}")


# What a kernel may raise on a program that is wrong.
FAULTS = (
    PocketrecError,
    ValueError,
    IndexError,
    TypeError,
    KeyError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    RecursionError,
)


def where(step: Step) -> str:
    """The op's type and name, for messages."""
    return f"op {step.operation.type} ({step.operation.name})"


@dataclass(slots=True, kw_only=True)
class Schedule:
    """A block's steps, with the names that come in and go out."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    steps: list[Step] = field(default_factory=list)


def plan_function(function: Function, constants: dict[str, Folded]) -> Schedule:
    """The function's plan; `constants` is filled with the values that no input changes.

    Raises:
        UnsupportedOp: names an op that has no kernel.
        ArtifactError: names a value that is used and nowhere made.
    """
    dtypes = {name: each.dtype for name, each in function.inputs}
    plan = _plan_block(function.block, constants, dtypes)
    _check_names(plan, {*constants, *(name for name, _ in function.inputs)}, f"function {function.name!r}")
    _mark_last_uses(plan, constants)
    return plan


def _check_names(plan: Schedule, known: set[str], place: str) -> None:
    known.update(plan.inputs)
    for step in plan.steps:
        for block in step.blocks:
            _check_names(block, known, where(step))
        for name in _uses(step):
            if name not in known:
                raise ArtifactError(f"{where(step)}: uses {name!r}, which nothing makes; pull it again")
        known.update(name for name, _ in step.operation.outputs)
    for name in plan.outputs:
        if name not in known:
            raise ArtifactError(f"{place}: gives {name!r}, which nothing makes; pull it again")


def _plan_block(block: Block, constants: dict[str, Folded], dtypes: dict[str, str]) -> Schedule:
    plan = Schedule(inputs=block.inputs, outputs=block.outputs)
    for operation in block.operations:
        dtypes.update((name, each.dtype) for name, each in operation.outputs)
        if operation.type == "const":
            constant = operation.inputs["val"][0]
            assert isinstance(constant, Constant)
            constants[operation.outputs[0][0]] = stored(constant.type, constant.load)
            continue
        step = _step(operation, constants, dtypes)
        if _uses(step) or step.blocks or step.wants_context or not step.results:
            plan.steps.append(step)
        else:
            constants.update(_fold(step))
    return plan


def _step(operation: Operation, constants: dict[str, Folded], dtypes: dict[str, str]) -> Step:
    kernel = KERNELS.get(operation.type)
    if kernel is None:
        reason = LEFT_OUT.get(operation.type, "no kernel computes it")
        raise UnsupportedOp(
            f"op {operation.type} ({operation.name}) is not supported: {reason}; "
            "run it on the Core ML framework"
        )
    exact = _is_exact(operation, dtypes)
    step = Step(
        operation=operation,
        kernel=kernel,
        constants={},
        references=(),
        variadic={},
        results=tuple(_result(each, exact) for _, each in operation.outputs),
        wants_context="op" in inspect.signature(kernel).parameters,
        blocks=tuple(_plan_block(each, constants, dtypes) for each in operation.blocks),
    )
    _bind(step, constants)
    return step


def _bind(step: Step, constants: Mapping[str, Folded]) -> None:
    references = []
    for name, bindings in step.operation.inputs.items():
        bound = tuple(_bound(each, constants) for each in bindings)
        if name in _VARIADIC or len(bound) != 1:
            step.variadic[name] = bound
        elif isinstance(bound[0], str):
            references.append((name, bound[0]))
        else:
            step.constants[name] = bound[0]
    step.references = tuple(references)


def _bound(binding: Binding, constants: Mapping[str, Folded]) -> str | Folded:
    if isinstance(binding, Constant):
        return stored(binding.type, binding.load)
    return constants.get(binding.name, binding.name)


def _is_exact(operation: Operation, dtypes: Mapping[str, str]) -> bool:
    """True where results are numbers of the inputs, and these are of the outputs' dtype."""
    bindings = [each for name in MOVES.get(operation.type, ()) for each in operation.inputs.get(name, ())]
    given = {dtypes.get(each.name) if isinstance(each, ValueName) else each.type.dtype for each in bindings}
    return given == {operation.outputs[0][1].dtype} if operation.outputs else False


def _result(kind: ValueType, exact: bool) -> Result:
    if kind.form != "tensor" or kind.dtype == "string":
        return Result(type=kind, ready=None)
    if kind.dtype == "float16":
        return Result(type=kind, ready=np.dtype(np.float32) if exact else None)
    return Result(type=kind, ready=numpy_dtype(kind.dtype))


def _fold(step: Step) -> dict[str, Folded]:
    """The step's results as constants. Of a cast to or from float16 the stored form is float16.

    So a gather takes its rows of such a table before they are widened.
    """
    names = [name for name, _ in step.operation.outputs]
    source = step.constants.get("source_val" if step.operation.type == "constexpr_cast" else "x")
    if source is not None and step.operation.type in ("cast", "constexpr_cast"):
        return {names[0]: Folded(partial(_cast, step, source), table=partial(_table, step))}
    results = Folded(partial(_compute, step))
    if len(names) == 1:
        return {names[0]: Folded(partial(_part, results, 0), table=partial(_table, step))}
    return {name: Folded(partial(_part, results, place)) for place, name in enumerate(names)}


def _table(step: Step) -> LongConstant | None:
    """The step's result by parts, where a part of it needs only parts of its inputs."""
    kind = step.operation.outputs[0][1]
    if step.operation.type == "transpose":
        table = step.constants["x"].table() if "x" in step.constants else None
        swaps = len(kind.shape) == 2 and step.constants["perm"].wide().tolist() in ([1, 0], [-1, -2])
        return table.swapped() if table is not None and swaps else None
    if step.variadic:
        return None
    arguments = cut(step.operation.type, kind, step.constants)
    if arguments is None:
        return None
    shape = tuple(size or 0 for size in kind.shape)
    return LongConstant(shape, long_axis(kind), lambda places: _compute(step, arguments(places))[0])


def _part(results: Folded, place: int) -> Any:
    return results.raw()[place]


def _cast(step: Step, source: Folded) -> Any:
    value, dtype = source.raw(), step.operation.outputs[0][1].dtype
    if not isinstance(value, np.ndarray) or dtype not in ("float16", "float32"):
        return _compute(step)[0]
    if value.dtype == np.float16:
        return value
    return value.astype(np.float16) if dtype == "float16" else _compute(step)[0]


def _compute(step: Step, arguments: Mapping[str, Any] | None = None) -> tuple[Any, ...]:
    try:
        return step.settled(step.kernel(**(step.arguments({}) if arguments is None else arguments)))
    except FAULTS as error:
        raise step.fault(error) from error


def _mark_last_uses(plan: Schedule, constants: Mapping[str, Any]) -> None:
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
        names += [each for each in bindings if isinstance(each, str)]
    for block in step.blocks:
        names += block.outputs
        for inner in block.steps:
            names += _uses(inner)
    return names
