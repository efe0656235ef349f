"""A function of a module, captured as an exported program with the contract's names and bounds.

    survey ─▶ rewrite modules and functions ─▶ torch.export ─▶ rewrite ops ─▶ proof on every probe

The contract becomes part of the graph: ids are guarded, inputs and outputs are cast to what the
contract says, and dims stay symbolic within their bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Signature
from pocketrec.convert.checks import (
    check_dependence,
    check_deterministic,
    check_outputs,
    check_program,
    check_stateless,
    explained,
)
from pocketrec.convert.contract_module import ContractModule
from pocketrec.convert.export import export_module, lower_program
from pocketrec.convert.intercept import (
    Interception,
    constant_choices,
    constant_events,
    rules_by_function,
    steady_branches,
)
from pocketrec.convert.rewrite import (
    FUNCTION_RULES,
    OP_RULES,
    Rewrite,
    copy_sharing,
    prove_same,
    replace_modules,
)
from pocketrec.convert.rewrite.ops import prove_ops
from pocketrec.convert.survey import Survey, survey
from pocketrec.errors import Refused

Inputs = Mapping[str, Tensor]

_SURVEYS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Capture:
    """A captured function, ready for every lowering.

    Attributes:
        name: the function's name in the contract.
        module: the rewritten module behind its contract; what the artifacts must equal.
        program: `module` as an exported program in the core ATen dialect.
        example: the example inputs, in the signature's order.
        rewrites: what was replaced, each with its proof.
        assumptions: truth values of inputs that were the same on all probes and are now constants.
    """

    name: str
    contract: Contract
    module: ContractModule
    program: torch.export.ExportedProgram
    example: tuple[Tensor, ...]
    rewrites: tuple[Rewrite, ...]
    assumptions: tuple[str, ...] = ()

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
        Refused: where the function draws random numbers, keeps state, depends on more than its
            inputs, or cannot be exported; with the source line where it is known.
    """
    signature = contract.functions[function]
    original = ContractModule(module, contract, signature)
    fresh = original.using(copy_sharing(module), Interception())
    arguments = [tuple(probe[each.name] for each in signature.inputs) for probe in probes]
    check_outputs(original, arguments[0], function)
    replaced, places = replace_modules(module)
    rules = rules_by_function(FUNCTION_RULES)
    rewritten = original.using(replaced, Interception(rules=rules))
    surveys = [survey(rewritten, each) for each in _different(arguments)]
    check_deterministic(original, arguments[0], function, surveys[0])
    check_stateless(original, fresh, arguments[-1], function)
    check_dependence(surveys, signature, function)
    rewritten.interception = replayed(surveys, rewritten.interception)
    error = prove_same(original, rewritten, arguments, [*(r.name for _, r in places), *_applied(rewritten)])
    example = _example(arguments, signature)
    try:
        exported, assumptions = _export(rewritten, example, contract, function, surveys)
        proved = prove_ops(exported, OP_RULES, arguments)
        program = lower_program(exported, signature, example, contract.dims, function)
        check_program(program, rewritten, arguments, function)
    except Refused as refused:
        explanation = explained(refused, surveys, signature)
        raise explanation from (refused.__cause__ if explanation is refused else refused)
    modules = [
        Rewrite(name=r.name, where=path, reason=r.reason, max_abs_error=error, probes=len(probes))
        for path, r in places
    ]
    ops = [
        Rewrite(
            name=each.rule.name,
            where=each.where,
            reason=each.rule.reason,
            max_abs_error=each.max_abs_error,
            probes=len(probes),
        )
        for each in proved
    ]
    return Capture(
        name=function,
        contract=contract,
        module=rewritten,
        program=program,
        example=example,
        rewrites=(*modules, *_intercepted(rewritten, error, len(probes)), *_merged(ops)),
        assumptions=assumptions,
    )


def replayed(surveys: Sequence[Survey], plan: Interception | None) -> Interception:
    """The plan, with every event answered that is the same for all inputs."""
    assert plan is not None
    choices = constant_choices(surveys)
    return replace(
        plan,
        events=tuple(surveys[0].events),
        replayed=constant_events(surveys),
        choices=choices,
    )


def _export(
    module: ContractModule,
    example: tuple[Tensor, ...],
    contract: Contract,
    function: str,
    surveys: Sequence[Survey],
) -> tuple[torch.export.ExportedProgram, tuple[str, ...]]:
    """The exported module; where a truth value of inputs is in the way, the one that all probes had."""
    try:
        return export_module(module, example, contract.dims, function), ()
    except Refused:
        assert module.interception is not None
        steady = steady_branches(surveys) - module.interception.replayed
        if not steady:
            raise
    module.interception = replace(module.interception, replayed=module.interception.replayed | steady)
    events = [surveys[0].events[number] for number in sorted(steady)]
    assumptions = tuple(f"{each.where}: {each.name} is {each.value}" for each in events)
    return export_module(module, example, contract.dims, function), assumptions


def _applied(module: ContractModule) -> list[str]:
    plan = module.interception
    return sorted({name for name, _ in plan.applied}) if plan else []


def _intercepted(module: ContractModule, error: float, probes: int) -> list[Rewrite]:
    plan = module.interception
    assert plan is not None
    rewrites = [
        Rewrite(name=name, where=where, reason=rule.reason, max_abs_error=error, probes=probes)
        for (name, where), rule in plan.applied.items()
    ]
    reasons = {
        "constant_replayed": (plan.replayed, "its value is the same for all inputs"),
        "constant_mask_to_gather": (plan.choices, "a shape that depends on values has no lowering"),
    }
    for name, (numbers, reason) in reasons.items():
        rewrites += [
            Rewrite(name=name, where=where, reason=reason, max_abs_error=error, probes=probes)
            for where in sorted({plan.events[number].where for number in numbers})
        ]
    return rewrites


def _merged(rewrites: Sequence[Rewrite]) -> list[Rewrite]:
    """One entry per rewrite and line, with the largest error of all."""
    merged: dict[tuple[str, str], Rewrite] = {}
    for each in rewrites:
        known = merged.get((each.name, each.where))
        if known is None or known.max_abs_error < each.max_abs_error:
            merged[each.name, each.where] = each
    return list(merged.values())


def _different(arguments: Sequence[tuple[Tensor, ...]]) -> list[tuple[Tensor, ...]]:
    """A few probes, of as many different shapes as there are."""
    shapes: dict[tuple[torch.Size, ...], tuple[Tensor, ...]] = {}
    for each in arguments:
        shapes.setdefault(tuple(value.shape for value in each), each)
    chosen = list(shapes.values())[:_SURVEYS]
    others = [each for each in reversed(arguments) if not any(each is other for other in chosen)]
    return [*chosen, *others[: max(0, _SURVEYS - len(chosen))]]


def _example(arguments: Sequence[tuple[Tensor, ...]], signature: Signature) -> tuple[Tensor, ...]:
    """The widest probe: sizes of 0 and 1 would be specialized by the exporter."""
    return max(
        arguments,
        key=lambda each: tuple(sum(value.shape[a] for value in each if value.ndim > a) for a in (0, 1)),
    )
