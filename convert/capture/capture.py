"""A function of a module, captured as an exported program with the contract's names and bounds.

    survey ─▶ rewrite modules and functions ─▶ torch.export ─▶ rewrite ops ─▶ proof on every probe

The contract becomes part of the graph: ids are guarded, inputs and outputs are cast to what the
contract says, and dims stay symbolic within their bounds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from pocketrec.about import About
from pocketrec.contract import Contract, Signature
from pocketrec.convert.capture.checks import (
    check_dependence,
    check_deterministic,
    check_outputs,
    check_program,
    check_stateless,
    explained,
)
from pocketrec.convert.capture.export import export_module, has_free_sizes, lower_program
from pocketrec.convert.rewrite import (
    CHOSEN_RULES,
    FUNCTION_RULES,
    OP_RULES,
    ROW_RULES,
    ModuleRule,
    Rewrite,
    copy_sharing,
    prove_same,
    replace_modules,
)
from pocketrec.convert.rewrite.chosen_rows import ChosenPlacesRule, CountedPlacesRule
from pocketrec.convert.rewrite.complex_numbers import complex_rewrites
from pocketrec.convert.rewrite.ops import ProvedOp, prove_ops
from pocketrec.convert.watch.contract_module import ContractModule
from pocketrec.convert.watch.intercept import (
    TRUTHS,
    FunctionRule,
    Interception,
    constant_choices,
    constant_events,
    rules_by_function,
    steady_branches,
)
from pocketrec.convert.watch.lines import line_of
from pocketrec.convert.watch.survey import Survey, survey
from pocketrec.errors import PocketrecError, Refused

Inputs = Mapping[str, Tensor]

_SURVEYS = 3
_ASSERTED = "Runtime assertion failed"  # what a program says of a size that its capture took for granted


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
        shipped: the contract of the whole model, where `contract` has dims of one size instead.
        about: what an artifact says of the model to people.
        fixed: programs that were made of it with fewer free dims, which targets share, by those dims.
    """

    name: str
    contract: Contract
    module: ContractModule
    program: torch.export.ExportedProgram
    example: tuple[Tensor, ...]
    rewrites: tuple[Rewrite, ...]
    assumptions: tuple[str, ...] = ()
    shipped: Contract | None = None
    about: About = field(default_factory=About)
    fixed: dict[frozenset[str], torch.export.ExportedProgram] = field(
        init=False, repr=False, compare=False, default_factory=dict
    )

    @property
    def contract_sha256(self) -> str:
        """The digest of the contract that an artifact names."""
        return (self.shipped or self.contract).sha256()

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
    fresh = ContractModule(copy_sharing(module), contract, signature)
    arguments = [tuple(probe[each.name] for each in signature.inputs) for probe in probes]
    check_outputs(original, arguments[0], function)
    job = _Job(original, *replace_modules(module), contract, function, arguments)
    try:
        found = job.surveys(Interception(rules=rules_by_function(FUNCTION_RULES)))
        check_deterministic(original, arguments[0], function, found.seen[0])
        check_stateless(original, fresh, arguments[-1], function)
        check_dependence(original, arguments, found.seen, function)
        plain = job.captured(found)
    except Refused as refused:
        if not job.asks_values:
            raise
        try:
            return job.with_all_rows()
        except Refused as other:
            raise _neither(refused, other) from refused
    if not has_free_sizes(plain.program):
        return plain
    try:
        return job.with_all_rows()
    except Refused:
        return plain


def _neither(refused: Refused, with_all_rows: Refused) -> Refused:
    """The first refusal, and why it does not help to leave no row out."""
    return Refused(
        op=refused.op,
        where=refused.where,
        reason=f"{refused.reason} (with every row computed and every branch taken: {with_all_rows.reason})",
        remedy=refused.remedy,
        elsewhere=refused.elsewhere,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Surveyed:
    """A module with an interception, and what surveys of it saw."""

    module: ContractModule
    seen: list[Survey]


@dataclass(slots=True)
class _Job:
    """One function on its way; `asks_values` tells whether its Python depends on values of inputs."""

    original: ContractModule
    replaced: nn.Module
    places: list[tuple[str, ModuleRule]]
    contract: Contract
    function: str
    arguments: list[tuple[Tensor, ...]]
    asks_values: bool = False

    def surveys(self, plan: Interception) -> _Surveyed:
        """Surveys of the module under `plan`, and the module with all that they answer."""
        module = self.original.using(self.replaced, plan)
        try:
            seen = [survey(module, each) for each in _different(self.arguments)]
        except PocketrecError:
            raise
        except Exception as error:
            raise Refused(
                op=type(self.original.module).__name__,
                where=line_of(error),
                reason=f"function {self.function} fails once rewritten: {type(error).__name__}: {error}",
                remedy="report it with this module; nothing was converted",
            ) from error
        self.asks_values = any(event.sources for found in seen for event in found.events)
        module.interception = replayed(seen, plan)
        return _Surveyed(module=module, seen=seen)

    def with_all_rows(self) -> Capture:
        """The capture with no row left out and every branch on values taken; Refused where it differs."""
        try:
            return self.captured(self._surveyed(ROW_RULES))
        except Refused as refused:
            found = self._surveyed(CHOSEN_RULES)
            if ChosenPlacesRule.name not in _applied(found.module):
                raise
            try:
                return self.captured(found)
            except Refused:
                raise refused from None

    def _surveyed(self, rules: Sequence[FunctionRule]) -> _Surveyed:
        taken = rules_by_function((*FUNCTION_RULES, *rules))
        return self.surveys(Interception(rules=taken, branch=True))

    def captured(self, found: _Surveyed) -> Capture:
        """The capture, proved; Refused with the user's line where the surveys saw the cause."""
        signature, dims = self.original.signature, self.contract.dims
        example = _example(self.arguments, signature)
        try:
            names = [*(rule.name for _, rule in self.places), *_applied(found.module)]
            error = prove_same(self.original, found.module, self.arguments, names)
            exported, assumptions = _export(found, example, self.contract, self.function)
            proved = prove_ops(exported, OP_RULES, self.arguments)
            program = lower_program(exported, signature, example, dims, self.function)
            check_program(program, found.module, self.arguments, self.function)
            proved += complex_rewrites(exported, self.arguments)
        except Refused as refused:
            explanation = explained(refused, found.seen, signature)
            raise explanation from (refused.__cause__ if explanation is refused else refused)
        except RuntimeError as failed:
            if _ASSERTED not in str(failed):
                raise
            raise Refused(
                op="torch.export",
                where=line_of(failed),
                reason=f"function {self.function}: not every input fits the captured program: {failed}",
                remedy="make the forward depend on tensor shapes and values only through torch operations",
            ) from failed
        return Capture(
            name=self.function,
            contract=self.contract,
            module=found.module,
            program=program,
            example=example,
            rewrites=tuple(self._rewrites(found.module, error, proved)),
            assumptions=(*assumptions, *_taken_for_0(found.module)),
        )

    def _rewrites(self, module: ContractModule, error: float, ops: Sequence[ProvedOp]) -> list[Rewrite]:
        probes = len(self.arguments)
        modules = [
            Rewrite(name=rule.name, where=path, reason=rule.reason, max_abs_error=error, probes=probes)
            for path, rule in self.places
        ]
        proved = [
            Rewrite(
                name=each.rule.name,
                where=each.where,
                reason=each.rule.reason,
                max_abs_error=each.max_abs_error,
                probes=probes,
            )
            for each in ops
        ]
        return [*modules, *_intercepted(module, error, probes), *_merged(proved)]


def replayed(surveys: Sequence[Survey], plan: Interception) -> Interception:
    """The plan, with every event answered that is the same for all inputs."""
    choices = constant_choices(surveys)
    return replace(
        plan,
        events=tuple(surveys[0].events),
        replayed=constant_events(surveys),
        choices=choices,
    )


def _export(
    found: _Surveyed, example: tuple[Tensor, ...], contract: Contract, function: str
) -> tuple[torch.export.ExportedProgram, tuple[str, ...]]:
    """The exported module; where a truth value of inputs is in the way, the one that all probes had."""
    plan = found.module.interception
    assert plan is not None
    answered = [each for each in found.seen[0].events if each.name in TRUTHS and each.sources]
    if plan.branch is not None:
        assumed = tuple(dict.fromkeys(f"{each.where}: {each.name} is {plan.branch}" for each in answered))
        return export_module(found.module, example, contract.dims, function), assumed
    try:
        return export_module(found.module, example, contract.dims, function), ()
    except Refused:
        steady = steady_branches(found.seen) - plan.replayed
        if not steady:
            raise
    found.module.interception = replace(plan, replayed=plan.replayed | steady)
    events = [found.seen[0].events[number] for number in sorted(steady)]
    assumptions = tuple(f"{each.where}: {each.name} is {each.value}" for each in events)
    return export_module(found.module, example, contract.dims, function), assumptions


def _applied(module: ContractModule) -> list[str]:
    plan = module.interception
    return sorted({name for name, _ in plan.applied}) if plan else []


def _taken_for_0(module: ContractModule) -> list[str]:
    """What is assumed of reductions whose places the module counts first."""
    plan = module.interception
    counted = [where for name, where in plan.applied if name == CountedPlacesRule.name] if plan else []
    return [f"{where}: what is reduced over no chosen place is 0" for where in counted]


def _intercepted(module: ContractModule, error: float, probes: int) -> list[Rewrite]:
    plan = module.interception
    assert plan is not None
    rewrites = [
        Rewrite(name=name, where=where, reason=rule.reason, max_abs_error=error, probes=probes)
        for (name, where), rule in plan.applied.items()
    ]
    assumed = {number for number in plan.replayed if plan.events[number].sources}
    reasons = {
        "constant_replayed": (plan.replayed - assumed, "its value is the same for all inputs"),
        "branch_assumed": (assumed, "the code branches on values, the same way on all probes"),
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
