"""What must hold of a function before and after it is captured; each check refuses by name."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pocketrec.contract import Signature
from pocketrec.convert.capture.explicit import reshape_for_views
from pocketrec.convert.watch.bind import bind_outputs
from pocketrec.convert.watch.contract_module import ContractModule
from pocketrec.convert.watch.intercept import TRUTHS
from pocketrec.convert.watch.lines import line_of
from pocketrec.convert.watch.survey import Event, Survey
from pocketrec.errors import ContractError, PocketrecError, Refused
from pocketrec.foreign import LOCK, generators_kept


def run(module: nn.Module, arguments: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """The outputs, without gradients; the inputs are copied, as a forward may write to them."""
    with torch.no_grad():
        return tuple(module(*(each.clone() for each in arguments)))


def check_outputs(module: ContractModule, arguments: tuple[Tensor, ...], function: str) -> None:
    """Checks that the module gives what the contract says; ContractError names the difference."""
    signature = module.signature
    with torch.no_grad():
        try:
            given = module.call(*(each.clone() for each in arguments))
        except PocketrecError:
            raise
        except Exception as error:
            raise ContractError(
                f"function {function}: {signature.method}({_shapes(signature, arguments)}) raised "
                f"{type(error).__name__} at {line_of(error)}: {_first_line(error)}; correct the inputs"
            ) from error
    for value, each in zip(bind_outputs(given, signature), signature.outputs, strict=True):
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


def check_deterministic(
    module: ContractModule, arguments: tuple[Tensor, ...], function: str, found: Survey
) -> None:
    """Checks that two calls agree; Refused names the line that draws random numbers."""
    with LOCK, generators_kept(seed=1):
        first = run(module, arguments)
    with LOCK, generators_kept(seed=2):
        second = run(module, arguments)
    for one, two, output in zip(first, second, module.signature.outputs, strict=True):
        if not torch.equal(one.nan_to_num(), two.nan_to_num()):
            name, where = found.random[0] if found.random else (module.signature.method, "")
            raise Refused(
                op=name,
                where=where,
                reason=f"function {function} draws random numbers: output {output.name} differs between "
                "two calls with the same inputs",
                remedy="call eval(), or take the sampling out of the forward",
            )


def check_stateless(
    module: ContractModule, fresh: ContractModule, arguments: tuple[Tensor, ...], function: str
) -> None:
    """Checks that a module that has run answers like a fresh copy; else Refused."""
    pairs = zip(run(fresh, arguments), run(module, arguments), module.signature.outputs, strict=True)
    for expected, actual, output in pairs:
        if not _agree(expected, actual):
            raise Refused(
                op=type(module.module).__name__,
                where="",
                reason=f"function {function} keeps state between calls: output {output.name} differs from "
                "that of a fresh copy with the same inputs",
                remedy="clear what the forward caches, or compute it from the inputs",
            )


def _agree(expected: Tensor, actual: Tensor) -> bool:
    if expected.shape != actual.shape:
        return False
    return torch.allclose(expected.double(), actual.double(), rtol=1e-4, atol=1e-5, equal_nan=True)


def check_dependence(
    module: ContractModule, arguments: Sequence[tuple[Tensor, ...]], surveys: Sequence[Survey], function: str
) -> None:
    """Checks that the outputs depend on the inputs; Refused names the line where they were lost.

    What a survey cannot look into, such as a scripted function, shows in answers that differ.
    """
    signature = module.signature
    if any(sources for found in surveys for sources in found.outputs):
        return
    if _answers_differ([run(module, each) for each in arguments]):
        return
    lost = [event for event in surveys[0].events if event.kind == "escape" and event.sources]
    if lost:
        raise _escape(lost[0], signature)
    raise Refused(
        op="forward",
        where="",
        reason=f"function {function}: no output depends on an input; a cached or constant result is returned",
        remedy="clear cached results before the conversion, and compute the outputs from the inputs",
    )


def _answers_differ(answers: Sequence[tuple[Tensor, ...]]) -> bool:
    """True where two answers of one shape hold different numbers."""
    first = answers[0]
    return any(
        one.shape == other.shape and not _agree(one, other)
        for answer in answers[1:]
        for one, other in zip(first, answer, strict=True)
    )


def _escape(event: Event, signature: Signature) -> Refused:
    names = ", ".join(signature.inputs[number].name for number in sorted(event.sources))
    if event.name in TRUTHS:
        reason = f"the code branches on a value that depends on {names}"
        remedy = "choose with torch.where, so that every input takes the same way"
    else:
        reason = f"it takes a value that depends on {names} out of PyTorch, where no exporter can follow"
        remedy = "compute this with torch operations on tensors"
    return Refused(op=f".{event.name.strip('_')}()", where=event.where, reason=reason, remedy=remedy)


def explained(refused: Refused, surveys: Sequence[Survey], signature: Signature) -> Refused:
    """The refusal with the user's line that caused it, where the survey saw one; else as it is."""
    lost = [event for event in surveys[0].events if event.kind == "escape" and event.sources]
    if refused.op != "torch.export" or not lost:
        return refused
    fits = [event for event in lost if event.where == refused.where]
    if not fits and refused.where and "depends on" not in refused.reason:
        return refused
    return _escape((fits or lost)[0], signature)


def _runnable(program: torch.export.ExportedProgram) -> torch.fx.GraphModule:
    """The program as a module; no target knows strides, so a view is what reshape makes of it."""
    module: torch.fx.GraphModule = program.module(check_guards=False)  # the outputs are compared
    reshape_for_views(module)
    return module


def check_program(
    program: torch.export.ExportedProgram,
    module: ContractModule,
    arguments: Sequence[tuple[Tensor, ...]],
    function: str,
) -> None:
    """Checks that the captured program agrees on every probe: a value baked in at capture shows here."""
    captured = _runnable(program)
    for number, each in enumerate(arguments):
        outputs = zip(module.signature.outputs, run(module, each), run(captured, each), strict=True)
        for output, expected, actual in outputs:
            if not _agree(expected, actual):
                same = expected.shape == actual.shape
                gap = (expected.double() - actual.double()).abs().max().item() if same else float("inf")
                raise Refused(
                    op="torch.export",
                    where="",
                    reason=f"function {function}, probe {number}: captured output {output.name} is off by "
                    f"{gap:.3g}; a value of the example was baked in",
                    remedy="keep .item(), .numpy() and Python numbers made from tensors out of the forward",
                )
