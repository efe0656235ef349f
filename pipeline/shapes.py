"""The shapes that each target's artifacts take, as contract.json states them beside the contract.

A contract allows a history of 1 to 50; a package for a phone takes exactly 50. A size is what the artifact
has, a dim's name what stays a range within the contract's bounds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from pocketrec.contract import Contract, Feature, Output, Signature, TargetShapes
from pocketrec.pipeline.opening import open_graph
from pocketrec.validate.runtimes.runtime import TensorSpec

Shape = tuple[int | str, ...]
Specs = Sequence[TensorSpec]


def with_shapes(contract: Contract, artifacts: Mapping[str, Mapping[str, Path]]) -> dict[str, object]:
    """The contract as plain values, and under `targets` the shapes of artifacts, by target and function."""
    shapes: TargetShapes = {
        target: {name: _read(contract, name, path) for name, path in functions.items()}
        for target, functions in artifacts.items()
    }
    return {**contract.to_dict(), "targets": shapes}


def _read(contract: Contract, function: str, path: Path) -> dict[str, Shape]:
    graph = open_graph(path).only(function)
    return shapes_of(contract, contract.functions[function], graph.inputs, graph.outputs)


def shapes_of(contract: Contract, signature: Signature, inputs: Specs, outputs: Specs) -> dict[str, Shape]:
    """The shape of every input and output of an artifact, by name, where it has one of that name.

    An artifact that says nothing of an output has it in the contract's sizes, with its own where inputs fix
    them; one number may have an axis, which Core ML needs.
    """
    given = {each.name: each for each in (*inputs, *outputs)}
    fixed: dict[int | str, int | str] = {}
    for each in signature.inputs:
        sizes = given[each.name].shape if each.name in given else ()
        if len(sizes) == len(each.shape):
            fixed.update((own, size) for own, size in zip(each.shape, sizes, strict=True) if size is not None)
    everything: list[Feature | Output] = [*signature.inputs, *signature.outputs]
    return {each.name: _shape(each, given[each.name], fixed) for each in everything if each.name in given}


def _shape(each: Feature | Output, spec: TensorSpec, fixed: Mapping[int | str, int | str]) -> Shape:
    known = tuple(size for size in spec.shape if size is not None)
    if known and len(known) == len(spec.shape):
        return known
    own = tuple(fixed.get(size, size) for size in each.shape)
    if len(spec.shape) != len(own):
        return own
    return tuple(other if size is None else size for size, other in zip(spec.shape, own, strict=True))


def shape_problem(contract: Contract, target: str, function: str, inputs: Specs, outputs: Specs) -> str:
    """What an artifact takes or gives otherwise than contract.json states; empty where it agrees.

    A file that states no shapes of any target says nothing about them, as those of earlier releases.
    """
    if not contract.targets:
        return ""
    stated = contract.targets.get(target, {}).get(function)
    if stated is None:
        return f"contract.json states no shapes of {target}/{function}; build the bundle again"
    found = shapes_of(contract, contract.functions[function], inputs, outputs)
    for name in sorted({*stated, *found}):
        if stated.get(name) != found.get(name):
            said, has = (_shown(each.get(name)) for each in (stated, found))
            return f"{name} has shape {has}; contract.json states {said}; build the bundle again"
    return next(_narrower(contract, stated, inputs), "")


def surplus_shapes(contract: Contract, artifacts: Mapping[str, Iterable[str]]) -> tuple[str, ...]:
    """A sentence for each target and function of which contract.json states shapes and that has no artifact.

    Args:
        contract: with what its file states beside it.
        artifacts: target to the functions that it has.
    """
    stated = [(target, name) for target, functions in contract.targets.items() for name in functions]
    return tuple(
        f"contract.json: states shapes of {target}/{name}, which manifest.json has no artifact of; build the "
        "bundle again"
        for target, name in sorted(stated)
        if name not in artifacts.get(target, ())
    )


def _narrower(contract: Contract, stated: Mapping[str, Shape], inputs: Specs) -> Iterator[str]:
    """Ranges whose ends are not those of the contract."""
    for each in inputs:
        for size, (low, high) in zip(stated.get(each.name, ()), each.bounds, strict=False):
            if isinstance(size, str) and high is not None and (low, high) != contract.bounds(size):
                least, most = contract.bounds(size)
                stated_ends = f"contract.json states {least} to {most}"
                yield f"{each.name} takes {low} to {high} along {size}; {stated_ends}"


def _shown(shape: Shape | None) -> str:
    return "none" if shape is None else f"[{', '.join(map(str, shape))}]"
