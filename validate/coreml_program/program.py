"""The protobuf of a Core ML program as light records; weights stay in their file until they are used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.errors import ArtifactError, UnsupportedOp
from pocketrec.validate.coreml_program.values import BITS, DTYPES, Array, ValueType, numpy_dtype, unpack
from pocketrec.validate.coreml_program.weights import WeightFile
from pocketrec.validate.runtimes.coreml_proto import proto


@dataclass(frozen=True, slots=True)
class ValueName:
    """The name of a value that another op, or the caller, makes."""

    name: str


@dataclass(frozen=True, slots=True)
class Constant:
    """A value in the program or its weight file; `load()` gives it in its declared dtype.

    `place` is the name of the weight file and where in it the value lies; None for one in the program.
    """

    type: ValueType
    load: Callable[[], Any]
    place: tuple[str, int] | None = None


Binding = ValueName | Constant


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One op. An input with several bindings is variadic (`values` of concat)."""

    type: str
    name: str
    inputs: Mapping[str, tuple[Binding, ...]]
    outputs: tuple[tuple[str, ValueType], ...]
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Ops in order, with the names that come in and go out."""

    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function: typed inputs, states among them, and a block."""

    name: str
    opset: str
    inputs: tuple[tuple[str, ValueType], ...]
    block: Block


class ProgramReader:
    """Reads functions out of a MIL program; `blob_path` gives the path of a blob file by its name.

    Types that the interpreter does not know raise UnsupportedOp, or where it is not `strict` keep MIL's
    name.
    """

    def __init__(
        self, program: Any, blob_path: Callable[[str], Path], source: Path, *, strict: bool = True
    ) -> None:
        self._program = program
        self._strict = strict
        self._blob_path = blob_path
        self._source = source
        self._files: dict[str, WeightFile] = {}

    @property
    def functions(self) -> tuple[str, ...]:
        """The names of the program's functions."""
        return tuple(sorted(self._program.functions))

    def function(self, name: str) -> Function:
        """The function of that name, in the opset that it declares."""
        spec = self._program.functions[name]
        block = spec.block_specializations.get(spec.opset)
        if block is None:
            raise ArtifactError(f"{self._source}: function {name} has no block for its opset {spec.opset!r}")
        inputs = tuple((each.name, self._type(each.type)) for each in spec.inputs)
        return Function(name=name, opset=spec.opset, inputs=inputs, block=self._block(block))

    def _block(self, spec: Any) -> Block:
        return Block(
            inputs=tuple(each.name for each in spec.inputs),
            outputs=tuple(spec.outputs),
            operations=tuple(self._operation(each) for each in spec.operations),
        )

    def _operation(self, spec: Any) -> Operation:
        inputs = {
            name: tuple(self._binding(each) for each in argument.arguments)
            for name, argument in spec.inputs.items()
        }
        name = ""
        for key, value in spec.attributes.items():
            if key == "name":
                name = "".join(value.immediateValue.tensor.strings.values[:1])
            else:  # const and the constexpr ops of iOS16 keep their operands among the attributes
                inputs[key] = (self._constant(value),)
        if not (spec.type.isprintable() and name.isprintable()):
            raise ArtifactError(f"{self._source}: an op is called {spec.type!r} {name!r}; pull it again")
        constant = all(isinstance(each, Constant) for each in inputs.get("val") or (None,))
        if spec.type == "const" and not (constant and spec.outputs):
            raise ArtifactError(f"{self._source}: constant {name!r} has no value or no name; pull it again")
        outputs = tuple((each.name, self._type(each.type)) for each in spec.outputs)
        return Operation(
            type=spec.type,
            name=name or (outputs[0][0] if outputs else spec.type),
            inputs=inputs,
            outputs=outputs,
            blocks=tuple(self._block(each) for each in spec.blocks),
        )

    def _binding(self, spec: Any) -> Binding:
        if spec.WhichOneof("binding") == "name":
            return ValueName(spec.name)
        return self._constant(spec.value)

    def _constant(self, value: Any) -> Constant:
        kind = self._type(value.type)
        if value.WhichOneof("value") == "blobFileValue":
            blob = value.blobFileValue
            return Constant(kind, _Once(lambda: self._blob(blob, kind)), (blob.fileName, int(blob.offset)))
        return Constant(kind, _Once(lambda: _immediate(value.immediateValue, kind, self._source)))

    def _blob(self, blob: Any, kind: ValueType) -> Array:
        if blob.fileName not in self._files:
            self._files[blob.fileName] = WeightFile(self._blob_path(blob.fileName))
        shape = tuple(size or 0 for size in kind.shape)
        return self._files[blob.fileName].read(blob.offset, kind.dtype, shape)

    def _type(self, spec: Any) -> ValueType:
        form = spec.WhichOneof("type")
        if form == "tensorType":
            tensor = spec.tensorType
            shape = tuple(
                int(each.constant.size) if each.WhichOneof("dimension") == "constant" else None
                for each in tensor.dimensions
            )
            return ValueType(dtype=self._dtype(tensor.dataType), shape=shape)
        if form == "stateType":
            inner = self._type(spec.stateType.wrappedType)
            return ValueType(dtype=inner.dtype, shape=inner.shape, form="state")
        if form == "listType":
            inner = self._type(spec.listType.type)
            return ValueType(dtype=inner.dtype, shape=inner.shape, form="list")
        if not self._strict:
            return ValueType(dtype="", form=str(form))
        raise UnsupportedOp(f"{self._source}: values of {form} are not supported; use the Core ML framework")

    def _dtype(self, data_type: int) -> str:
        if data_type in DTYPES:
            return DTYPES[data_type]
        if self._strict:
            raise UnsupportedOp(f"{self._source}: data type {data_type} is not supported")
        names = proto("MIL_pb2").DataType
        return str(names.Name(data_type)).lower() if data_type in names.values() else ""


class _Once:
    """Calls its function at the first call, and remembers."""

    __slots__ = ("_function", "_value")

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function: Callable[[], Any] | None = function
        self._value: Any = None

    def __call__(self) -> Any:
        if self._function is not None:
            self._value, self._function = self._function(), None
        return self._value


def _immediate(value: Any, kind: ValueType, source: Path) -> Any:
    """An immediate value: str, NumPy scalar, or array; a tuple or list of such for MIL lists."""
    form = value.WhichOneof("value")
    if form == "tensor":
        return _tensor(value.tensor, kind, source)
    if form in ("list", "tuple"):
        members = getattr(value, form).values
        return [_immediate(each.immediateValue, kind, source) for each in members]
    raise UnsupportedOp(f"{source}: constants of {form} are not supported; use the Core ML framework")


def _tensor(tensor: Any, kind: ValueType, source: Path) -> Any:
    field = tensor.WhichOneof("value")
    values = getattr(tensor, field).values
    if field == "strings":
        return str(values[0]) if not kind.shape else np.array(list(values), dtype=object)
    shape = tuple(size or 0 for size in kind.shape)
    count = prod(shape)
    if field == "bytes":
        array = _from_bytes(values, kind.dtype, count)
    else:
        array = np.asarray(values).astype(numpy_dtype(kind.dtype))
    if array.size != count:
        raise ArtifactError(f"{source}: a constant has {array.size} values, its type declares {count}")
    return array.reshape(shape)[()]


def _from_bytes(values: bytes, dtype: str, count: int) -> Array:
    if dtype in BITS:
        return unpack(
            np.frombuffer(values, dtype=np.uint8), dtype, min(count, 8 * len(values) // BITS[dtype])
        )
    stored = numpy_dtype(dtype)
    return np.frombuffer(values[: len(values) // stored.itemsize * stored.itemsize], dtype=stored)
