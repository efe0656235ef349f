"""A function of a module, captured as an exported program with the contract's names and bounds.

The contract becomes part of the graph: ids are guarded, inputs and outputs are cast to what the
contract says, and dims stay symbolic within their bounds.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Dim, Signature
from pocketrec.convert.rewrite import Rewrite, apply_rewrites
from pocketrec.errors import ContractError, PocketrecError, Refused

_DTYPES = {"int32": torch.int32, "float32": torch.float32, "bool": torch.bool}
Inputs = Mapping[str, Tensor]


class ContractModule(nn.Module):
    """One function of a module behind its contract: guarded inputs in order, outputs as a tuple."""

    def __init__(self, module: nn.Module, contract: Contract, signature: Signature) -> None:
        super().__init__()
        self.module = module
        self.signature = signature
        self._method = signature.method
        self._guards = [
            (contract.guard_id(each), contract.vocabularies[each.vocabulary].size if each.vocabulary else 0)
            for each in signature.inputs
        ]
        if not callable(getattr(module, signature.method, None)):
            raise ContractError(
                f"{type(module).__name__} has no method {signature.method!r}; correct `method`"
            )

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The contract's outputs, in order, each of the contract's dtype."""
        guarded = [
            each if guard is None else torch.where(torch.logical_or(each < 0, each >= size), guard, each)
            for each, (guard, size) in zip(inputs, self._guards, strict=True)
        ]
        function = self.module if self._method == "forward" else getattr(self.module, self._method)
        given = function(*guarded)
        outputs = given if isinstance(given, tuple | list) else (given,)
        return tuple(
            value if value.dtype == _DTYPES[each.dtype] else value.to(_DTYPES[each.dtype])
            for value, each in zip(outputs, self.signature.outputs, strict=True)
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A captured function, ready for every lowering.

    Attributes:
        name: the function's name in the contract.
        module: the rewritten module behind its contract; what the artifacts must equal.
        program: `module` as an exported program after `run_decompositions`.
        example: the example inputs, in the signature's order.
        rewrites: what was replaced, each with its proof.
    """

    name: str
    contract: Contract
    module: ContractModule
    program: torch.export.ExportedProgram
    example: tuple[Tensor, ...]
    rewrites: tuple[Rewrite, ...]

    @property
    def signature(self) -> Signature:
        """The function's part of the contract."""
        return self.contract.functions[self.name]


def capture(module: nn.Module, contract: Contract, function: str, probes: Sequence[Inputs]) -> Capture:
    """The function captured by torch.export with the contract's names and dims.

    Args:
        module: in eval mode; it is not changed.
        contract: the module's contract.
        function: which of its functions.
        probes: inputs of different contents, on which rewrites and the capture are proved.

    Raises:
        Refused: where the function draws random numbers, depends on more than its inputs, or
            cannot be exported; with the source line where torch knows it.
    """
    signature = contract.functions[function]
    original = ContractModule(module, contract, signature).eval()
    arguments = [tuple(probe[each.name] for each in signature.inputs) for probe in probes]
    _check_outputs(original, arguments[0], signature, function)
    _check_deterministic(original, arguments[0], function)
    rewritten, rewrites = apply_rewrites(original, arguments)
    example = _example(arguments, signature)
    program = export_program(rewritten, example, contract.dims, function)
    _check_no_random(program, function)
    _check_program(program, rewritten, arguments, function)
    return Capture(
        name=function,
        contract=contract,
        module=rewritten,
        program=program,
        example=example,
        rewrites=rewrites,
    )


def _check_outputs(
    module: ContractModule, arguments: tuple[Tensor, ...], signature: Signature, function: str
) -> None:
    with torch.no_grad():
        try:
            given = (
                module.module(*arguments)
                if signature.method == "forward"
                else getattr(module.module, signature.method)(*arguments)
            )
        except PocketrecError:
            raise
        except Exception as error:
            raise ContractError(
                f"function {function}: {signature.method}({_shapes(signature, arguments)}) raised "
                f"{type(error).__name__}: {_first_line(error)}; correct the contract's inputs"
            ) from error
    outputs = given if isinstance(given, tuple | list) else (given,)
    if len(outputs) != len(signature.outputs):
        raise ContractError(
            f"function {function}: returned {len(outputs)} tensors; the contract names "
            f"{len(signature.outputs)} outputs"
        )
    for value, each in zip(outputs, signature.outputs, strict=True):
        if not isinstance(value, Tensor):
            raise ContractError(
                f"function {function}: output {each.name} is {type(value).__name__}, no tensor"
            )
        if value.ndim != len(each.shape) or any(
            isinstance(size, int) and size != value.shape[axis] for axis, size in enumerate(each.shape)
        ):
            raise ContractError(
                f"function {function}: output {each.name} has shape {tuple(value.shape)}; "
                f"the contract says {list(each.shape)}"
            )


def _shapes(signature: Signature, arguments: tuple[Tensor, ...]) -> str:
    pairs = zip(signature.inputs, arguments, strict=True)
    return ", ".join(f"{each.name} {list(value.shape)}" for each, value in pairs)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or ["no message"])[0]


def _run(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return tuple(module(*arguments))


def _check_deterministic(module: ContractModule, arguments: tuple[Tensor, ...], function: str) -> None:
    torch.manual_seed(1)
    first = _run(module, arguments)
    torch.manual_seed(2)
    second = _run(module, arguments)
    for one, two, output in zip(first, second, module.signature.outputs, strict=True):
        if not torch.equal(one.nan_to_num(), two.nan_to_num()):
            raise Refused(
                op=f"{type(module.module).__name__}.{module.signature.method}",
                where="",
                reason=f"function {function} draws random numbers: output {output.name} differs between "
                "two calls with the same inputs",
                remedy="call eval(), or take the sampling out of the forward",
            )


def _example(arguments: Sequence[tuple[Tensor, ...]], signature: Signature) -> tuple[Tensor, ...]:
    """The widest probe: sizes of 0 and 1 would be specialized by the exporter."""
    return max(
        arguments,
        key=lambda each: tuple(sum(value.shape[a] for value in each if value.ndim > a) for a in (0, 1)),
    )


def export_program(
    module: ContractModule, example: tuple[Tensor, ...], dims: Mapping[str, Dim], function: str
) -> torch.export.ExportedProgram:
    """The module exported with `dims` left symbolic within their bounds; other sizes as in `example`.

    Raises Refused, with the source line where torch names it.
    """
    symbols = {
        name: torch.export.Dim(name, min=dim.min, max=dim.max)
        for name, dim in dims.items()
        if dim.min < dim.max
    }
    dynamic = tuple(
        {axis: symbols[size] for axis, size in enumerate(each.shape) if size in symbols}
        for each in module.signature.inputs
    )
    try:
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, example, dynamic_shapes=(dynamic,), strict=False)
            decomposed: torch.export.ExportedProgram = program.run_decompositions()
            return decomposed
    except Exception as error:
        raise Refused(
            op="torch.export",
            where=_source_line(error),
            reason=f"function {function}: {_first_line(error)}",
            remedy="make the forward depend on tensor shapes and values only through torch operations",
        ) from error


def _source_line(error: BaseException) -> str:
    """`file:line` of the innermost frame outside torch; empty where there is none."""
    place, trace = "", error.__traceback__
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if "/torch/" not in filename and "/pocketrec/" not in filename and filename != __file__:
            place = f"{filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


_RANDOM = ("rand", "bernoulli", "dropout", "multinomial", "normal_functional")


def _check_no_random(program: torch.export.ExportedProgram, function: str) -> None:
    for node in program.graph.nodes:
        name = getattr(getattr(node.target, "_schema", None), "name", "")
        if any(word in name for word in _RANDOM):
            raise Refused(
                op=name,
                where=(node.meta.get("stack_trace") or "").strip().replace("\n", " | ")[-200:],
                reason=f"function {function} draws random numbers",
                remedy="call eval(), or take the sampling out of the forward",
            )


def _check_program(
    program: torch.export.ExportedProgram,
    module: ContractModule,
    arguments: Sequence[tuple[Tensor, ...]],
    function: str,
) -> None:
    """Every probe through the captured program: a value baked in at capture shows here."""
    captured = program.module()
    for number, each in enumerate(arguments):
        outputs = zip(module.signature.outputs, _run(module, each), _run(captured, each), strict=True)
        for output, expected, actual in outputs:
            if not torch.allclose(expected.double(), actual.double(), rtol=1e-4, atol=1e-5, equal_nan=True):
                gap = (expected.double() - actual.double()).abs().max().item()
                raise Refused(
                    op="torch.export",
                    where="",
                    reason=f"function {function}, probe {number}: captured output {output.name} is off by "
                    f"{gap:.3g}; a value of the example was baked in",
                    remedy="keep .item(), .numpy() and Python numbers made from tensors out of the forward",
                )
