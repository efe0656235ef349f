"""torch.export with the contract's dims, and the graph made ready for every lowering."""

from __future__ import annotations

import re
from collections.abc import Mapping
from traceback import FrameSummary
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.symbolic_shapes import (
    GuardOnDataDependentSymNode,
    ShapeEnv,
    free_unbacked_symbols,
)

from pocketrec.contract import Dim, Signature
from pocketrec.convert.capture.chosen import reduce_chosen
from pocketrec.convert.capture.draws import drop_dead_draws
from pocketrec.convert.capture.explicit import (
    drop_aliases,
    drop_parameter_writes,
    fill_empty,
    keep_expanded_axes,
    reshape_for_views,
    squeeze_known_axes,
)
from pocketrec.convert.capture.fold import fold_constants
from pocketrec.convert.capture.origins import lines_of
from pocketrec.convert.capture.patches import recurrent_shapes
from pocketrec.convert.rewrite import OP_RULES
from pocketrec.convert.rewrite.complex_numbers import RealModule, uses_complex
from pocketrec.convert.rewrite.ops import lower_ops
from pocketrec.convert.watch.contract_module import ContractModule
from pocketrec.convert.watch.intercept import listing_as_one_call
from pocketrec.convert.watch.kept_sizes import kept_sizes
from pocketrec.convert.watch.lines import is_users, line_of
from pocketrec.convert.watch.patches import plain_attention, quick_decompositions, quiet_converters
from pocketrec.errors import PocketrecError, Refused

_FIXED = re.compile(r"You marked (\w+) as dynamic but your code specialized it to be a constant \((\d+)\)")
_REMEDY = "make the forward depend on tensor shapes and values only through torch operations"


def export_module(
    module: ContractModule, example: tuple[Tensor, ...], dims: Mapping[str, Dim], function: str
) -> torch.export.ExportedProgram:
    """The module in the dialect of torch.export, before any lowering.

    `dims` are left symbolic within their bounds; other sizes are those of `example`.

    Raises:
        Refused: with the source line where torch knows it.
    """
    dynamic = (dynamic_sizes(module.signature, dims),)
    try:
        return export_graph(module, example, dynamic)
    except PocketrecError:
        raise
    except Exception as error:
        program = _with_kept_sizes(module, example, dynamic)
        if program is None:
            raise _refused(error, function) from error
        return program


def _with_kept_sizes(
    module: ContractModule, example: tuple[Tensor, ...], dynamic: Any
) -> torch.export.ExportedProgram | None:
    """The program where only Python's own functions were in the way of a symbolic size; else None."""
    try:
        with kept_sizes(module, example):
            return export_graph(module, example, dynamic)
    except Exception:  # the first error is the one to tell
        return None


def dynamic_sizes(signature: Signature, dims: Mapping[str, Dim]) -> tuple[dict[int, Any], ...]:
    """Which axes of every input stay free, as `torch.export` takes it."""
    symbols = {
        name: torch.export.Dim(name, min=dim.min, max=dim.max)
        for name, dim in dims.items()
        if dim.min < dim.max
    }
    return tuple(
        {axis: symbols[size] for axis, size in enumerate(each.shape) if size in symbols}
        for each in signature.inputs
    )


def export_graph(
    module: torch.nn.Module, example: tuple[Tensor, ...], dynamic: Any
) -> torch.export.ExportedProgram:
    with (
        quiet_converters(),
        plain_attention(),
        torch.no_grad(),
        lines_of(module),
        listing_as_one_call(),
        recurrent_shapes(),
    ):
        program = torch.export.export(module, example, dynamic_shapes=dynamic, strict=False)
        reshape_for_views(program.graph_module)
        return program


def export_program(
    module: ContractModule, example: tuple[Tensor, ...], dims: Mapping[str, Dim], function: str
) -> torch.export.ExportedProgram:
    """The module in the core ATen dialect, rewritten ops replaced and constants folded."""
    exported = export_module(module, example, dims, function)
    return lower_program(exported, module.signature, example, dims, function)


def lower_program(
    program: torch.export.ExportedProgram,
    signature: Signature,
    example: tuple[Tensor, ...],
    dims: Mapping[str, Dim],
    function: str,
) -> torch.export.ExportedProgram:
    """The program ready for the lowerings: constants folded, ops decomposed.

    Raises:
        Refused: an op has no decomposition, or the function writes to a buffer.
    """
    mutated = [*program.graph_signature.buffers_to_mutate.values()]
    if mutated:
        raise Refused(
            op="torch.export",
            where="",
            reason=f"function {function} writes to the buffer {mutated[0]!r} in every call",
            remedy="return the new state as an output and take the old one as an input",
        )
    try:
        if uses_complex(program):
            program = _in_real_numbers(program, example, dynamic_sizes(signature, dims))
        plain = _without_vmap(program).module(check_guards=False)
        if drop_dead_draws(plain) | reduce_chosen(plain) | fold_constants(plain):
            program = export_graph(plain, example, dynamic_sizes(signature, dims))
        with torch.no_grad(), quiet_converters(), quick_decompositions(), recurrent_shapes():
            squeeze_known_axes(program)
            fill_empty(program)
            lowered = lower_ops(program, OP_RULES)
            drop_parameter_writes(lowered)
            drop_aliases(lowered)
            keep_expanded_axes(lowered)
            return lowered
    except PocketrecError:
        raise
    except Exception as error:
        raise _refused(error, function) from error


def _without_vmap(program: torch.export.ExportedProgram) -> torch.export.ExportedProgram:
    """The program with what `vmap` computes as plain ops: between its marks no op can be looked at alone."""
    marks = ("_add_batch_dim", "_vmap_increment_nesting")
    if not any(mark in str(node.target) for node in program.graph.nodes for mark in marks):
        return program
    with torch.no_grad(), quiet_converters():
        plain: torch.export.ExportedProgram = program.run_decompositions({})
    return plain


def has_free_sizes(program: torch.export.ExportedProgram) -> bool:
    """True where the size of a tensor depends on values, which not every target can plan for."""
    values = (node.meta.get("val") for node in program.graph.nodes)
    return any(free_unbacked_symbols(each) for each in values if isinstance(each, Tensor))


def asks_numbers(program: torch.export.ExportedProgram) -> bool:
    """True where a number in a tensor becomes one of Python's, such as a size."""
    asking = torch.ops.aten._local_scalar_dense.default
    return any(node.target is asking for node in program.graph.nodes)


def _in_real_numbers(
    program: torch.export.ExportedProgram, example: tuple[Tensor, ...], dynamic: Any
) -> torch.export.ExportedProgram:
    with torch.no_grad(), quiet_converters():
        squeeze_known_axes(program)
        fill_empty(program)
        module = RealModule(program.run_decompositions())
        module(*example)  # makes the constants of its transforms
    return export_graph(module, example, (dynamic,))


def _refused(error: Exception, function: str) -> Refused:
    return Refused(
        op="torch.export",
        where=_line_that_fixes(error) or line_of(error),
        reason=f"function {function}: {_told(error)}",
        remedy=_REMEDY,
    )


def _line_that_fixes(error: BaseException | None) -> str:
    """`file:line` that made a free size a number; empty where torch does not say, or none did."""
    while error is not None:
        trace = error.__traceback__
        while trace is not None:
            sizes = trace.tb_frame.f_locals.get("self")
            if isinstance(sizes, ShapeEnv):
                return next(filter(None, map(_place, _fixings(sizes))), "")
            trace = trace.tb_next
        error = error.__cause__ or error.__context__
    return ""


def _fixings(sizes: ShapeEnv) -> list[object]:
    """Where each size that should be free became a number, as the frames of Python that did it."""
    fixed = [symbol for symbol, value in sizes.replacements.items() if value.is_number]
    places = sizes.replacements_slocs
    return [places[each].framework_loc for each in fixed if each in places]


def _place(frame: object) -> str:
    if not isinstance(frame, FrameSummary) or not is_users(frame.filename):
        return ""
    return f"{frame.filename}:{frame.lineno}"


def _told(error: Exception) -> str:
    """The line of the exporter's message that says what is wrong."""
    if isinstance(error, GuardOnDataDependentSymNode):
        return "a size, a slice or a branch depends on the values of a tensor"
    lines = [each.strip(" -") for each in str(error).strip().splitlines() if each.strip()]
    fixed = _FIXED.search(str(error))
    if fixed:
        return f"the code makes a number of the size {fixed[1]}, which is free, and so fixes it at {fixed[2]}"
    if len(lines) > 1 and lines[0].startswith("Constraints violated"):
        return lines[1]
    return lines[0] if lines else type(error).__name__
