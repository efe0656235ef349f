"""A captured function as a Core ML program: the contract's names, float32 scores, no narrow ids."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import nullcontext
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import torch

from pocketrec.contract import CORE_ML_WORDS, Contract, Dim, Feature, Signature
from pocketrec.convert.capture.capture import Capture
from pocketrec.convert.capture.export import export_program
from pocketrec.convert.coreml.canonical import canonicalize
from pocketrec.convert.coreml.compact import compact
from pocketrec.convert.coreml.described import describe
from pocketrec.convert.coreml.int32 import check_int32, narrow_program
from pocketrec.convert.coreml.origins import number_nodes, program_origins
from pocketrec.convert.coreml.ranks import within_five_axes
from pocketrec.convert.coreml.scalars import OneAxis, with_one_axis
from pocketrec.convert.coreml.stateful import with_states, without_states
from pocketrec.convert.coreml.weights import laid_out, write_weights
from pocketrec.convert.coreml.words import with_names_beside_words
from pocketrec.convert.lower.carry import Carrier
from pocketrec.convert.lower.refusal import refusal
from pocketrec.convert.watch.lines import line_in_trace
from pocketrec.convert.watch.patches import quiet_converters
from pocketrec.errors import CannotCarry, ContractError, ConversionError, PocketrecError, Refused
from pocketrec.files import whole_or_nothing
from pocketrec.origin import ACTIVATIONS, Told
from pocketrec.quantize import QuantizedTensor
from pocketrec.quantize.activations import rounding_of
from pocketrec.source.tables import Table

_INT32 = range(-(2**31), 2**31)


def to_coreml(
    capture: Capture,
    path: Path,
    *,
    precision: str = "float16",
    minimum_deployment_target: str = "iOS17",
    flexible: Sequence[str] = (),
    frontend: str = "export",
    tensors: Mapping[str, QuantizedTensor] | None = None,
    stateful: bool = False,
    gathered: Sequence[str] = (),
    tables: Sequence[Table] = (),
    told: Told | None = None,
) -> Path:
    """The path of the .mlpackage written at `path`; identical bytes for identical input.

    Args:
        capture: what to lower.
        path: the package's directory; it must not exist.
        precision: `float16` (scores and top-k stay float32) or `float32`.
        minimum_deployment_target: `iOS15` to `iOS18`.
        frontend: `export` lowers the exported program; `trace` runs it once under torch.jit.trace
            and lowers that, which knows recurrent layers that the other does not.
        flexible: dims that stay ranges. Others are fixed: a dim that leads every input at its
            smallest size (one user on a phone), lengths at their largest.
        tensors: the codes of compressed tensors by name, whose dequantized values the capture holds.
        stateful: whether the program keeps the contract's states itself, for iOS18; otherwise they
            are inputs and outputs. Core ML keeps states in float16, whatever the precision.
        gathered: names, or patterns with `*`, of compressed tables whose codes stay a plain constant
            of which rows are gathered; all others are constexpr ops.
        tables: what is streamed into the package; the capture holds stubs of them.
        told: gets what the package does not say of its tensors.

    Raises:
        Refused: an op has no Core ML lowering, or a 64-bit input, output or constant needs more than int32.
        CannotCarry: the deployment target has no form for a compressed tensor.
        TableError: a streamed table holds a number that cannot be stored.
        StorageError: the package could not be written to its end; nothing is left of it.
        ConversionError: the package lost a name of the contract.

    Source: coremltools.convert on the exported program, with `recommender_pipeline`.
    """
    signature = capture.signature
    _check_whole(signature, capture.name)
    _check_words(signature)
    sizes = _sizes(capture.contract, signature, flexible)
    program = program_for(capture, flexible)
    _check_constants(program, capture.name)
    check_int32(program, capture.contract, signature, capture.name)
    if stateful:
        _check_stateful(minimum_deployment_target, frontend)
        program, signature = with_states(program, signature), without_states(signature)
    rounding = rounding_of(program)
    _check_rounding(rounding, minimum_deployment_target)
    codes = {**(tensors or {}), **{each.name: each.tensor() for each in tables if each.parts}}
    carrier = Carrier(codes)
    needed = carrier.used_by(program)
    rows = {name for name in needed if any(fnmatchcase(name, each) for each in gathered)}
    _check_targets(needed, rows, codes, minimum_deployment_target)
    blobs = laid_out() if tables else nullcontext()
    with quiet_converters(), whole_or_nothing(path) as package, blobs as layouts:
        number_nodes(program)
        program = with_names_beside_words(with_one_axis(program))
        source = program if frontend == "export" else _trace(capture, sizes)
        inputs = _input_types(capture.contract, signature, program)
        model = _convert(
            capture, signature, source, inputs, precision, minimum_deployment_target, carrier, rows
        )
        carrier.check(needed, "Core ML")
        origins = program_origins(model._mil_program, program, [each.name for each in signature.outputs])
        if rounding is not None:
            model.user_defined_metadata[ACTIVATIONS] = rounding
        # Saving would write debug handles into the package, and fails on programs with loops.
        model._mil_program = None
        model.save(str(package))
        _check_names(model.get_spec(), signature, path)
        names = compact(package)
        if told is not None:
            told.origins = {names.get(name, name): each for name, each in origins.items()}
            told.carried = carrier.summary()
        if layouts is not None:
            write_weights(package, layouts, tables)
        canonicalize(package)
    return path


def _check_stateful(minimum_deployment_target: str, frontend: str) -> None:
    if minimum_deployment_target != "iOS18" or frontend != "export":
        raise ConversionError(
            f"stateful: needs minimum_deployment_target 'iOS18' and frontend 'export'; got "
            f"{minimum_deployment_target!r} and {frontend!r}; elsewhere states are inputs and outputs"
        )


def _check_rounding(rounding: str | None, minimum_deployment_target: str) -> None:
    """Checks that the target has the ops that round inputs of dense layers; else CannotCarry."""
    if rounding == "dynamic":
        raise CannotCarry(
            "activations 'dynamic': Core ML has no op that takes a range from its input; use 'static'"
        )
    if rounding is not None and minimum_deployment_target in ("iOS15", "iOS16"):
        raise CannotCarry(
            f"activations 'static' need minimum_deployment_target 'iOS17'; got {minimum_deployment_target!r}"
        )


def _check_targets(
    needed: Iterable[str],
    gathered: Collection[str],
    tensors: Mapping[str, QuantizedTensor],
    minimum_deployment_target: str,
) -> None:
    from pocketrec.convert.coreml.constexpr import check_target
    from pocketrec.convert.coreml.gather_codes import check_gathered

    for name in sorted(needed):
        check = check_gathered if name in gathered else check_target
        check(tensors[name], minimum_deployment_target)


def _sizes(contract: Contract, signature: Signature, flexible: Sequence[str]) -> dict[str, int]:
    """The fixed size of every dim, and the largest of those that stay ranges."""
    leading = {each.shape[0] for each in signature.inputs if each.shape}
    batch = next(iter(leading)) if len(leading) == 1 else None
    return {
        name: dim.min if name == batch and name not in flexible else dim.max
        for name, dim in contract.dims.items()
    }


def _resized(example: torch.Tensor, feature: Feature, sizes: Mapping[str, int]) -> torch.Tensor:
    """The example with every named dim at its size, by repeating or cutting."""
    for axis, size in enumerate(feature.shape):
        if isinstance(size, str):
            index = torch.arange(sizes[size]) % example.shape[axis]
            example = example.index_select(axis, index)
    return example


def program_for(capture: Capture, flexible: Sequence[str]) -> torch.export.ExportedProgram:
    """What is lowered: the function with every dim fixed that is not `flexible`; made once per capture."""
    free = frozenset(flexible)
    if free not in capture.fixed:
        capture.fixed[free] = _fixed_program(capture, flexible)
    return capture.fixed[free]


def _fixed_program(capture: Capture, flexible: Sequence[str]) -> torch.export.ExportedProgram:
    sizes = _sizes(capture.contract, capture.signature, flexible)
    pairs = zip(capture.example, capture.signature.inputs, strict=True)
    example = tuple(_resized(value, feature, sizes) for value, feature in pairs)
    dims = {name: dim for name, dim in capture.contract.dims.items() if name in flexible}
    if all(name in flexible or dim.min == dim.max for name, dim in capture.contract.dims.items()):
        program = capture.program  # nothing is fixed, so the capture is the very program
    else:
        program = export_program(capture.module, example, dims, capture.name)
    narrow = narrow_program(program, capture.contract, capture.signature, example, dims)
    return within_five_axes(narrow, example)


def _trace(capture: Capture, sizes: Mapping[str, int]) -> torch.jit.ScriptModule:
    """The rewritten module traced on inputs of these sizes."""
    example = tuple(
        _resized(value, feature, sizes)
        for value, feature in zip(capture.example, capture.signature.inputs, strict=True)
    )
    try:
        with torch.no_grad():
            trace: Any = torch.jit.trace
            boxed = tuple(each.reshape(1) if each.ndim == 0 else each for each in example)
            module = OneAxis(capture.module, example) if boxed != example else capture.module
            traced: torch.jit.ScriptModule = trace(module, boxed, check_trace=False)
            return traced
    except Exception as error:
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise Refused(
            op="torch.jit.trace",
            where="",
            reason=f"function {capture.name}: {reason}",
            remedy="make the forward depend on tensors only through torch operations",
        ) from error


def _check_whole(signature: Signature, function: str) -> None:
    wide = [("input", each.name) for each in signature.inputs if each.dtype == "int64"]
    wide += [("output", each.name) for each in signature.outputs if each.dtype == "int64"]
    if wide:
        side, name = wide[0]
        raise Refused(
            op=side,
            where="",
            reason=f"function {function}: {name} is int64, which Core ML has not",
            remedy="renumber or hash it to int32 outside of the model",
            elsewhere=True,
        )


def _check_constants(program: torch.export.ExportedProgram, function: str) -> None:
    """Core ML has no int64; coremltools saturates silently, which would turn hashes into others."""
    for name, tensor in (*program.state_dict.items(), *program.constants.items()):
        if isinstance(tensor, torch.Tensor) and tensor.dtype == torch.int64 and tensor.numel():
            _check_range(int(tensor.min()), name, function)
            _check_range(int(tensor.max()), name, function)
    for node in program.graph.nodes:
        if "slice" in str(node.target) or _is_float(node):
            continue  # an open end is written as the largest int64; a float's factor becomes a float
        for value in node.args:
            if isinstance(value, int):
                where = line_in_trace(node.meta.get("stack_trace") or "")
                _check_range(value, str(node.target), function, where)


def _is_float(node: torch.fx.Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _check_range(value: int, name: str, function: str, where: str = "") -> None:
    if value not in _INT32:
        raise Refused(
            op=name,
            where=where,
            reason=f"function {function}: the constant {value} does not fit in Core ML's int32",
            remedy="declare the ids' vocabulary in the contract, so that a hash becomes a table, or compute "
            "hashes before the model",
            elsewhere=True,
        )


def _convert(
    capture: Capture,
    signature: Signature,
    program: torch.export.ExportedProgram | torch.jit.ScriptModule,
    inputs: list[Any],
    precision: str,
    minimum_deployment_target: str,
    carrier: Carrier,
    gathered: Collection[str],
) -> Any:
    import coremltools as ct

    from pocketrec.convert.coreml.ops import LOWERINGS
    from pocketrec.convert.coreml.passes import OUR_PASSES, float16_selector, recommender_pipeline
    from pocketrec.convert.coreml.patches import our_lowerings, our_passes, right_inference, without_ado

    float16 = precision == "float16"
    outputs = [ct.TensorType(name=each.name, dtype=_dtype(each.dtype)) for each in signature.outputs]
    try:
        with right_inference(), our_lowerings(LOWERINGS), our_passes(OUR_PASSES), without_ado():
            model = ct.convert(
                program,
                inputs=inputs,
                outputs=outputs,
                convert_to="mlprogram",
                minimum_deployment_target=getattr(ct.target, minimum_deployment_target),
                compute_precision=(
                    ct.transform.FP16ComputePrecision(op_selector=float16_selector())
                    if float16
                    else ct.precision.FLOAT32
                ),
                pass_pipeline=recommender_pipeline(
                    float16=float16,
                    carrier=carrier,
                    minimum_deployment_target=minimum_deployment_target,
                    gathered=gathered,
                    outputs=[each.name for each in signature.outputs],
                    inputs={each.name: 0 for each in signature.inputs if each.is_id and _forbids(each)},
                ),
                skip_model_load=True,
            )
    except PocketrecError:
        raise
    except Exception as error:
        raise refusal(error, capture.program, converter="coremltools", function=capture.name) from error
    assert model is not None
    model.user_defined_metadata["pocketrec.contract_sha256"] = capture.contract_sha256
    model.user_defined_metadata["pocketrec.function"] = capture.name
    describe(model._spec.description, capture.about, capture.shipped or capture.contract, capture.name)
    return model


def _forbids(feature: Feature) -> bool:
    """Whether the caller never passes an id from outside of the vocabulary."""
    return feature.out_of_vocabulary == "forbid"


def _input_types(
    contract: Contract, signature: Signature, program: torch.export.ExportedProgram
) -> list[Any]:
    import coremltools as ct

    nodes = {node.name: node for node in program.graph.nodes if node.op == "placeholder"}
    values = [nodes[name].meta["val"] for name in program.graph_signature.user_inputs]
    ranges = {name: _range_dim(dim) for name, dim in contract.dims.items()}
    types = []
    for each, value in zip(signature.inputs, values, strict=True):
        shape = [
            size if isinstance(size, int) else ranges[str(each.shape[axis])]
            for axis, size in enumerate(value.shape)
        ]
        types.append(ct.TensorType(name=each.name, shape=shape, dtype=_dtype(each.dtype)))
    return types


def _range_dim(dim: Dim) -> Any:
    import coremltools as ct

    return ct.RangeDim(lower_bound=dim.min, upper_bound=dim.max, default=dim.max)


def _dtype(name: str) -> Any:
    import numpy as np

    if name == "bool":
        raise ContractError("Core ML has no bool inputs or outputs; declare the mask as int32 or float32")
    return {"int32": np.int32, "float32": np.float32}[name]


def _check_words(signature: Signature) -> None:
    """Checks that Core ML takes every name of the contract; ConversionError where one is its own word."""
    taken = next((name for name in signature.names if name in CORE_ML_WORDS), None)
    if taken is not None:
        raise ConversionError(
            f"{taken!r} is a word of Core ML's own and cannot name an input or output; "
            f"rename it in the contract, such as {taken}_value"
        )


def _check_names(spec: Any, signature: Signature, path: Path) -> None:
    given = [each.name for each in (*spec.description.input, *spec.description.output)]
    expected = signature.names
    if sorted(given) != sorted(expected):
        raise ConversionError(f"{path.name}: inputs and outputs are {given}; the contract says {expected}")
