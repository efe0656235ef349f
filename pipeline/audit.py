"""What became of every tensor: who reads it, as what it is stored, and what stays as it was."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pocketrec.errors import PlanError
from pocketrec.report import CompressedTensor

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.convert.capture.capture import Capture
    from pocketrec.source.compressed import Compression

_LARGE_CONSTANT = 2048  # numbers; below, a constant is no part of a file's size worth a sentence


def tensors_read(module: nn.Module, captures: Mapping[str, Capture]) -> dict[str, tuple[str, ...]]:
    """The functions that read each float tensor of the module, by tensor name; captured from that module."""
    from pocketrec.convert.lower.carry import ValueIndex
    from pocketrec.quantize.reference import compressible, to_array
    from pocketrec.source.stubs import stub_or

    index = ValueIndex({name: stub_or(to_array(each)) for name, each in compressible(module).items()})
    read = {function: index.read_by(captured.program) for function, captured in captures.items()}
    return {
        name: tuple(function for function, names in read.items() if name in names)
        for name in compressible(module)
    }


def left_out_notes(names: Iterable[str]) -> tuple[str, ...]:
    """What is to be said of tensors that a preset or a search could not compress, one sentence each."""
    return tuple(f"{name} stays in float32: a graph holds it only folded into others" for name in names)


def constant_notes(module: nn.Module, captures: Mapping[str, Capture]) -> tuple[str, ...]:
    """What is to be said of large constants that are no tensor of the module, one sentence each."""
    from pocketrec.convert.lower.carry import ValueIndex, tensors_of
    from pocketrec.quantize.reference import compressible, to_array
    from pocketrec.source.stubs import stub_or

    index = ValueIndex({name: stub_or(to_array(each)) for name, each in compressible(module).items()})
    found = {}
    for function, captured in captures.items():
        for each in tensors_of(captured.program):
            large = each.is_floating_point() and each.numel() >= _LARGE_CONSTANT
            if large and not index.find(stub_or(to_array(each)))[0]:
                size = " × ".join(map(str, each.shape))
                found[size] = (
                    f"a constant of {size} that {function} computes from weights stays in float32: keep it "
                    "in a buffer of the module to compress it"
                )
    return tuple(found.values())


def audit(compression: Compression, captures: Mapping[str, Capture]) -> tuple[CompressedTensor, ...]:
    """Every float tensor of the original module, as asked and as done, largest afterwards first.

    Raises:
        PlanError: a tensor is planned that no function reads, so that no artifact holds its codes.
    """
    from pocketrec.quantize.reference import compressible

    tensors, codes = compressible(compression.original), compression.codes
    asked = compression.plan.schemes_for(tensors)
    read = tensors_read(compression.module, captures)
    after = {name: codes[name].size_bytes if name in codes else 4 * t.numel() for name, t in tensors.items()}
    total = sum(after.values())
    rows = []
    for name, tensor in tensors.items():
        done = codes.get(name)
        functions = read[name]
        if done is not None and not functions:
            raise PlanError(
                f"{name}: no function reads it, unless folded into another constant; leave it out of "
                "compress.tensors"
            )
        rows.append(
            CompressedTensor(
                name=name,
                shape=tuple(tensor.shape),
                asked=_describe(asked[name]) if name in asked else "",
                done="float32" if done is None else done.describe(),
                functions=functions,
                bits=8 * after[name] / tensor.numel(),
                bytes_before=4 * tensor.numel(),
                bytes_after=after[name],
                sqnr_db=compression.sqnr_db.get(name, float("inf")),
                share=after[name] / total,
            )
        )
    return tuple(sorted(rows, key=lambda each: (-each.bytes_after, each.name)))


def _describe(scheme: Any) -> str:
    from pocketrec.quantize.schemes import scheme_to_table

    return json.dumps(scheme_to_table(scheme), separators=(", ", " = ")).replace('"', "")
