"""A captured function as an ONNX file: checked, the contract's names, dynamic dims."""

from __future__ import annotations

from ast import literal_eval
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import torch

from pocketrec.contract import Feature, Output
from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.capture.origins import node_origins, output_names
from pocketrec.convert.lower.carry import Carrier
from pocketrec.convert.lower.refusal import refusal
from pocketrec.convert.onnx.bare import drop_defaults, share_constants, share_turned, strip
from pocketrec.convert.onnx.carry import carry_codes
from pocketrec.convert.onnx.dialect import NATIVE, Dialect, check_operators
from pocketrec.convert.onnx.external import LARGE_BYTES, array_of, hide_large, save
from pocketrec.convert.onnx.guards import SCOPES, guard_lookups
from pocketrec.convert.onnx.integer import rounding_table
from pocketrec.convert.onnx.lean import simplify
from pocketrec.convert.onnx.numbers import exact_sigmoids, number_table
from pocketrec.convert.onnx.patches import (
    exact_constants,
    promoted_once,
    registry_kept,
    stubs_kept,
    traced_once,
    weights_kept,
)
from pocketrec.convert.onnx.short import shorten
from pocketrec.convert.onnx.values import drop_unread
from pocketrec.convert.watch.patches import quick_decompositions, quiet_converters
from pocketrec.errors import ConversionError
from pocketrec.files import files_or_nothing
from pocketrec.origin import ACTIVATIONS, Origin, Told
from pocketrec.quantize import QuantizedTensor
from pocketrec.quantize.activations import rounding_of
from pocketrec.source.tables import Table

_OPSET = 20  # the exporter's own default; higher ones are reached by its version converter
_IR_VERSION = 10  # the least that a file says: what goes with that opset


def to_onnx(
    capture: Capture,
    path: Path,
    *,
    opset_version: int = _OPSET,
    tensors: Mapping[str, QuantizedTensor] | None = None,
    dialect: Dialect = NATIVE,
    tables: Sequence[Table] = (),
    large_bytes: int = LARGE_BYTES,
    told: Told | None = None,
) -> Path:
    """The path of the ONNX file written at `path`, checked, with the contract's names and dims.

    Args:
        capture: what to lower.
        path: the file to write.
        opset_version: 20 or later.
        tensors: the codes of compressed tensors by name, whose dequantized values the capture holds.
        dialect: what the file may hold, and what lies beside it.
        tables: what is streamed to `<path>.data`; the capture holds stubs of them.
        large_bytes: tensors of this size or more go to `<path>.data` too.
        told: gets what the file does not say of its tensors.

    Raises:
        Refused: an op has no ONNX lowering, or becomes an operator that the dialect's engines lack.
        CannotCarry: the graph holds a compressed tensor in a form that codes cannot replace.
        TableError: a streamed table holds a number that cannot be stored.
        StorageError: the files could not be written to their end; nothing is left of them.
        ConversionError: the file does not pass onnx.checker, or lost a name of the contract.

    Source: torch.onnx.export(dynamo=True) on the exported program.
    """
    signature = capture.signature
    codes = {**(tensors or {}), **{each.name: each.tensor() for each in tables if each.parts}}
    carrier = Carrier(codes)
    with quiet_converters(), quick_decompositions(), _exporter_as_needed(carrier):
        try:
            exported = torch.onnx.export(
                capture.program,
                (),
                input_names=[each.name for each in signature.inputs],
                output_names=[each.name for each in signature.outputs],
                opset_version=opset_version,
                dynamo=True,
                optimize=True,
                verbose=False,
                custom_translation_table={**rounding_table(), **number_table()},
            )
        except Exception as error:
            raise refusal(error, capture.program, converter="torch.onnx", function=capture.name) from error
    assert exported is not None
    taken = {each.name for each in signature.inputs} | {each.name for each in signature.outputs}
    _free_names(exported.model.graph, taken)
    hidden = hide_large(exported.model, large_bytes=large_bytes)
    model = exported.model_proto
    simplify(model)
    exact_sigmoids(model.graph)
    assert exported.exported_program is not None
    guard_lookups(model, exported.exported_program, lambda each: carrier(array_of(each, hidden)) is not None)
    carry_codes(model, carrier, dialect=dialect, hidden=hidden)
    carrier.check(carrier.used_by(capture.program), "ONNX")
    _widen_indices(model)
    _finish(model, capture)
    found = _origins(model, capture, exported.exported_program)
    strip(model)
    drop_defaults(model)
    drop_unread(model.graph)
    stored = _tensors(model.graph, capture, codes, hidden)
    share_constants(model.graph, stored)
    share_turned(model.graph, stored)
    names = shorten(model.graph, stored)
    origins = {names.get(name, name): each for name, each in found.items()}
    if told is not None:
        told.origins, told.carried = origins, carrier.summary()
    metadata = {"pocketrec.contract_sha256": capture.contract_sha256, "pocketrec.function": capture.name}
    rounding = rounding_of(capture.program)
    if rounding is not None:
        metadata[ACTIVATIONS] = rounding
    onnx.helper.set_model_props(model, metadata)
    with files_or_nothing(path) as place:
        outside = min(large_bytes, dialect.table_bytes)
        save(model, place, hidden, tables, large_bytes=outside, alignment=dialect.alignment)
        check_operators(model, dialect, origins, function=capture.name)
        _check(model, capture, place)
    return path


@contextmanager
def _exporter_as_needed(carrier: Carrier) -> Iterator[None]:
    """The exporter with equal numbers, with weights stored as codes and stubs kept, and without idle work."""
    kept = weights_kept(lambda values: carrier(values) is not None)
    with exact_constants(), kept, stubs_kept(), registry_kept(), traced_once(), promoted_once():
        yield


def _free_names(graph: Any, taken: set[str]) -> None:
    """Another name for every inner value that has one of the contract's, which the file's ends carry."""
    ends = {id(value) for value in (*graph.inputs, *graph.outputs)}
    for node in graph:
        for value in node.outputs:
            if value.name in taken and id(value) not in ends:
                value.name = f"{value.name}_inner"


# Unlike Gather, these take no int32; the exporter hands on whatever dtype the module indexes with.
_WIDE_INDICES = frozenset({"GatherND", "ScatterND"})


def _widen_indices(model: onnx.ModelProto) -> None:
    """Cast int32 indices to int64 in front of the ops that accept nothing else."""
    graph = model.graph
    narrow = {
        value.name
        for value in (*graph.input, *graph.value_info)
        if value.type.tensor_type.elem_type == onnx.TensorProto.INT32
    } | {each.name for each in graph.initializer if each.data_type == onnx.TensorProto.INT32}
    for node in list(graph.node):
        if node.op_type in _WIDE_INDICES and node.input[1] in narrow:
            wide = f"{node.output[0]}_indices"
            cast = onnx.helper.make_node("Cast", [node.input[1]], [wide], to=onnx.TensorProto.INT64)
            graph.node.insert(list(graph.node).index(node), cast)
            node.input[1] = wide


def _finish(model: onnx.ModelProto, capture: Capture) -> None:
    """Names, dims, metadata; what would differ from version to version is taken out."""
    model.ir_version = max(_IR_VERSION, model.ir_version)
    model.producer_name, model.producer_version = "pocketrec", ""
    model.graph.name = capture.name
    for value, each in zip(model.graph.input, capture.signature.inputs, strict=True):
        _name_dims(value, each)
    for value, out in zip(model.graph.output, capture.signature.outputs, strict=True):
        _name_dims(value, out)


def _origins(
    model: onnx.ModelProto, capture: Capture, program: torch.export.ExportedProgram
) -> dict[str, Origin]:
    """Origins by tensor name: the exporter names a tensor after the graph node that it is the result of."""
    by_node = node_origins(program)
    names = [each.name for each in capture.signature.outputs]
    results = dict(zip(names, output_names(program), strict=True))
    origins = {}
    for node in model.graph.node:
        scopes = {each.key: each.value for each in node.metadata_props}.get(SCOPES, "[]")
        step = by_node.get(str((literal_eval(scopes) or [""])[-1]))
        for name in node.output:
            origin = by_node.get(results.get(name, name))
            if origin is not None:
                origins[name] = origin
            elif step is not None:
                origins[name] = replace(step, exact=False)
    return origins


def _name_dims(value: onnx.ValueInfoProto, each: Feature | Output) -> None:
    dims = value.type.tensor_type.shape.dim
    for dim, size in zip(dims, each.shape, strict=True):
        if isinstance(size, str) and not dim.HasField("dim_value"):
            dim.dim_param = size


def _tensors(
    graph: onnx.GraphProto, capture: Capture, codes: Collection[str], hidden: Collection[str]
) -> set[str]:
    """The names of constants that are tensors of the module, or what these are stored as."""
    own = {*capture.program.state_dict, *capture.program.constants, *hidden}
    names = {each.name for each in graph.initializer}
    return {name for name in names if name in own or name.rpartition("/")[0] in codes}


def _check(model: onnx.ModelProto, capture: Capture, path: Path) -> None:
    try:
        onnx.checker.check_model(str(path), full_check=True)
    except Exception as error:
        raise ConversionError(f"{path.name}: onnx.checker: {error}") from error
    given = [value.name for value in (*model.graph.input, *model.graph.output)]
    expected = capture.signature.names
    if given != expected:
        raise ConversionError(f"{path.name}: inputs and outputs are {given}; the contract says {expected}")
