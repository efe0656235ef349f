"""The reader of .mlpackage and .mlmodel files; weights are mapped, and read only where asked for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from pocketrec.origin import ORIGINS, origins_key
from pocketrec.validate.artifact.coreml_engine import CoreMLEngine
from pocketrec.validate.artifact.graph import Graph, Op, Tensor, packed_bytes
from pocketrec.validate.coreml_program.package import Package, not_a_program, open_package
from pocketrec.validate.coreml_program.program import Block, Constant, Operation, ValueName
from pocketrec.validate.coreml_program.values import ValueType
from pocketrec.validate.runtimes.runtime import TensorSpec


def read_core_ml(path: Path) -> Graph:
    """The graph of the package or model at `path`; without ops where it is no ML program.

    Raises:
        UsageError: there is no such package.
        ArtifactError: a file of it is damaged or missing; names the file.
    """
    package = open_package(path, strict=False)
    names = dict.fromkeys((package.default, *package.functions, *package.reader.functions))
    if package.kind != "mlProgram":
        return replace(_graph(package, ()), unreadable=not_a_program(path, package.kind))
    return _graph(package, tuple(name for name in names if name in package.reader.functions))


def _graph(package: Package, functions: Sequence[str]) -> Graph:
    several, metadata = len(functions) > 1, package.metadata
    reader, inputs, outputs, results = _Reader(), [], [], []
    for name in functions or (package.default,):
        described = package.functions.get(name) or package.functions[package.default]
        prefix = f"{name}/" if several else ""
        inputs += [_prefixed(each, prefix) for each in described.inputs]
        outputs += [_prefixed(each, prefix) for each in described.outputs]
    for name in functions:
        function, part = package.reader.function(name), name if several else ""
        reader.function = part
        for argument, kind in function.inputs:
            reader.add(reader.full(argument), kind)
        reader.read(function.block, 0)
        results += [reader.full(each) for each in function.block.outputs]
    return Graph(
        name=package.path.name,
        format="coreml",
        version=f"specification {package.specification_version}",
        ops=tuple(reader.ops),
        tensors=reader.tensors,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        results=tuple(results),
        metadata=metadata,
        about=package.about,
        producer="coremltools" if any("coremltools" in key for key in metadata) else "",
        functions=tuple(functions) or (package.default,),
        wants_fixed_sizes=True,
        origin_table="" if several else _origins(package, functions),
        select=lambda function: _graph(package, (package.resolve(function),)),
        start=None if len(functions) != 1 else partial(CoreMLEngine, package.path, functions[0]),
        files=_files(package.path),
    )


def _prefixed(spec: TensorSpec, prefix: str) -> TensorSpec:
    return replace(spec, name=f"{prefix}{spec.name}")


def _origins(package: Package, functions: Sequence[str]) -> str:
    own = (package.metadata.get(origins_key(name)) for name in functions)
    return next((each for each in own if each is not None), package.metadata.get(ORIGINS, ""))


def _files(path: Path) -> tuple[Path, ...]:
    return tuple(sorted(each for each in path.rglob("*") if each.is_file())) if path.is_dir() else (path,)


@dataclass(slots=True)
class _Reader:
    function: str = ""
    ops: list[Op] = field(default_factory=list)
    tensors: dict[str, Tensor] = field(default_factory=dict)

    def full(self, name: str) -> str:
        """The name in the graph of a tensor of the function that is being read."""
        return f"{self.function}/{name}" if self.function else name

    def add(self, name: str, kind: ValueType, constant: Constant | None = None) -> None:
        stored = constant is not None and kind.form == "tensor" and kind.dtype not in ("", "string")
        self.tensors[name] = Tensor(
            name=name,
            dtype=kind.dtype,
            shape=kind.shape,
            load=None if constant is None else constant.load,
            place=None if constant is None else constant.place,
            stored_bytes=packed_bytes(kind.dtype, (size or 0 for size in kind.shape)) if stored else None,
            function=self.function,
        )

    def read(self, block: Block, depth: int) -> None:
        for operation in block.operations:
            outputs = tuple(self.full(name) for name, _ in operation.outputs)
            if operation.type == "const":
                (value,) = operation.inputs["val"][:1]
                assert isinstance(value, Constant)
                self.add(outputs[0], value.type, value)
                continue
            for name, (_, kind) in zip(outputs, operation.outputs, strict=True):
                self.add(name, kind)
            self.ops.append(
                Op(
                    type=operation.type,
                    kind=operation.type,
                    name=self.full(operation.name),
                    inputs=self._inputs(operation),
                    outputs=outputs,
                    captured=tuple(self.full(name) for each in operation.blocks for name in _captured(each)),
                    updated=tuple(self.full(name) for name in _updated(operation)),
                    depth=depth,
                )
            )
            for nested in operation.blocks:
                self.read(nested, depth + 1)

    def _inputs(self, operation: Operation) -> dict[str, tuple[str, ...]]:
        """Operand to tensors; a constant in the op itself becomes a tensor called by op and operand."""
        own = operation.outputs[0][0] if operation.outputs else operation.type
        inputs = {}
        for operand, bindings in operation.inputs.items():
            names = []
            for number, binding in enumerate(bindings):
                if isinstance(binding, Constant):
                    names.append(self.full(f"{own}.{operand}" + (f".{number}" if number else "")))
                    self.add(names[-1], binding.type, binding)
                else:
                    names.append(self.full(binding.name))
            inputs[operand] = tuple(names)
        return inputs


def _updated(operation: Operation) -> Iterator[str]:
    """The states that the op writes: it makes them anew, and what reads them later depends on it."""
    if operation.type in ("write_state", "coreml_update_state"):
        for name in ("state", "input"):
            bindings = operation.inputs.get(name, ())
            yield from (each.name for each in bindings if isinstance(each, ValueName))


def _captured(block: Block) -> Iterator[str]:
    """What a nested block takes from outside."""
    own = set(block.inputs)
    for inner in block.operations:
        yield from (name for name in _read(inner) if name not in own)
        own.update(name for name, _ in inner.outputs)
    yield from (name for name in block.outputs if name not in own)


def _read(operation: Operation) -> Iterator[str]:
    for bindings in operation.inputs.values():
        yield from (each.name for each in bindings if isinstance(each, ValueName))
    for block in operation.blocks:
        yield from _captured(block)
