"""A Core ML package as a lint graph; weights are mapped, and read only where a rule asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

from pocketrec.validate.coreml_program.package import open_package
from pocketrec.validate.coreml_program.program import Block, Constant, Operation
from pocketrec.validate.lint.graph import Graph, Node, Value
from pocketrec.validate.runtimes.runtime import TensorSpec


def coreml_graph(path: Path) -> Graph:
    """The graph of an .mlpackage or .mlmodel that holds an ML program.

    Raises UsageError, ArtifactError and UnsupportedOp as `open_package` does.
    """
    package = open_package(path)
    several = len(package.reader.functions) > 1
    reader, inputs, outputs, results = _Reader(), [], [], []
    for name in package.reader.functions:
        function, prefix = package.reader.function(name), f"{name}/" if several else ""
        described = package.functions[name] if name in package.functions else package.functions["main"]
        inputs += [_prefixed(each, prefix) for each in described.inputs]
        outputs += [_prefixed(each, prefix) for each in described.outputs]
        results += [f"{prefix}{each}" for each in function.block.outputs]
        for argument, kind in function.inputs:
            reader.add(Value(name=f"{prefix}{argument}", dtype=kind.dtype, shape=kind.shape))
        reader.read(function.block, prefix)
    return Graph(
        format="coreml",
        nodes=tuple(reader.nodes),
        values=reader.values,
        inputs=tuple(inputs),
        outputs=tuple(outputs),
        results=tuple(results),
        metadata=package.metadata,
        producer="coremltools" if any("coremltools" in key for key in package.metadata) else "",
    )


def _prefixed(spec: TensorSpec, prefix: str) -> TensorSpec:
    return replace(spec, name=f"{prefix}{spec.name}")


@dataclass(slots=True)
class _Reader:
    nodes: list[Node] = field(default_factory=list)
    values: dict[str, Value] = field(default_factory=dict)

    def add(self, value: Value) -> None:
        self.values[value.name] = value

    def read(self, block: Block, prefix: str) -> None:
        for operation in block.operations:
            outputs = tuple(f"{prefix}{name}" for name, _ in operation.outputs)
            for name, (_, kind) in zip(outputs, operation.outputs, strict=True):
                self.add(Value(name=name, dtype=kind.dtype, shape=kind.shape))
            inputs = self._inputs(operation, prefix)
            if operation.type == "const":
                self.add(replace(self.values[inputs["val"][0]], name=outputs[0]))
                continue
            self.nodes.append(
                Node(
                    kind=operation.type,
                    name=f"{prefix}{operation.name}",
                    inputs=inputs,
                    outputs=outputs,
                    captured=tuple(f"{prefix}{name}" for name in _captured(operation.blocks)),
                )
            )
            for nested in operation.blocks:
                self.read(nested, prefix)

    def _inputs(self, operation: Operation, prefix: str) -> dict[str, tuple[str, ...]]:
        inputs = {}
        for parameter, bindings in operation.inputs.items():
            names = []
            for number, binding in enumerate(bindings):
                if isinstance(binding, Constant):
                    name = f"{prefix}{operation.name}.{parameter}" + (f".{number}" if number else "")
                    kind = binding.type
                    if operation.type != "const":
                        self.add(Value(name=name, dtype=kind.dtype, shape=kind.shape, load=binding.load))
                    else:
                        name = f"{prefix}{operation.outputs[0][0]}"
                        self.add(Value(name=name, dtype=kind.dtype, shape=kind.shape, load=binding.load))
                    names.append(name)
                else:
                    names.append(f"{prefix}{binding.name}")
            inputs[parameter] = tuple(names)
        return inputs


def _captured(blocks: tuple[Block, ...]) -> Iterator[str]:
    """What the ops of nested blocks read, and what the blocks give back."""
    for block in blocks:
        yield from block.outputs
        for operation in block.operations:
            for bindings in operation.inputs.values():
                yield from (each.name for each in bindings if not isinstance(each, Constant))
            yield from _captured(operation.blocks)
