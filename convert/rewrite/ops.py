"""Rewrites of ATen ops in a captured graph: a decomposition per op, proved on what the op receives.

A rule becomes an entry of the decomposition table with which the program is lowered; both targets
see only what the rule puts there.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from pocketrec.errors import Refused

# A decomposition adds the same float32 numbers in another order; anything more is a wrong one.
_TOLERANCE = 1e-5
# Recurrent layers have ops of their own on the targets; decomposed they are as many ops as steps.
_WHOLE = (torch.ops.aten.gru.input, torch.ops.aten.lstm.input)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpRule:
    """A rewrite of one ATen op.

    Attributes:
        name: of the rewrite, as the evidence shows it.
        op: the overload, such as torch.ops.aten.bucketize.Tensor.
        replace: called with the op's arguments; gives what the op gives, from simpler ones.
        reason: which target lacks the op.
    """

    name: str
    op: torch._ops.OpOverload
    replace: Callable[..., Any]
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvedOp:
    """A rule that applies to a program: where, and the largest difference on the probes."""

    rule: OpRule
    where: str
    max_abs_error: float


def lower_ops(program: torch.export.ExportedProgram, rules: Sequence[OpRule]) -> torch.export.ExportedProgram:
    """The program in the core ATen dialect, with the rules' ops replaced."""
    table: Any = torch.export.default_decompositions()
    for op in _WHOLE:
        table.pop(op, None)
    for op, own in _by_op(rules).items():
        table[op] = _first_of(own)
    lowered: torch.export.ExportedProgram = program.run_decompositions(table)
    _name_identities(lowered.graph_module)
    lowered.graph.eliminate_dead_code(is_impure_node=_has_effect)
    return lowered


def _by_op(rules: Sequence[OpRule]) -> dict[Any, tuple[OpRule, ...]]:
    """The rules of each op, in order."""
    found: dict[Any, tuple[OpRule, ...]] = {}
    for rule in rules:
        found[rule.op] = (*found.get(rule.op, ()), rule)
    return found


def _first_of(rules: Sequence[OpRule]) -> Callable[..., Any]:
    """What the first rule gives that has something to give; else NotImplemented."""

    def replace(*args: Any, **kwargs: Any) -> Any:
        given = (rule.replace(*args, **kwargs) for rule in rules)
        return next((each for each in given if each is not NotImplemented), NotImplemented)

    return replace


def _has_effect(node: fx.Node) -> bool:
    """True for what stays without a user; a random draw whose result is never read has no effect here."""
    return node.op != "call_function" or "assert" in str(node.target) or "constrain" in str(node.target)


_SQUEEZES = frozenset(
    [torch.ops.aten.squeeze.default, torch.ops.aten.squeeze.dim, torch.ops.aten.squeeze.dims]
)


def _name_identities(module: fx.GraphModule) -> None:
    """Squeezes of no axis become clones: ONNX's decomposition of them has no lowering."""
    for node in module.graph.nodes:
        if node.target in _SQUEEZES and node.meta["val"].ndim == node.args[0].meta["val"].ndim:
            node.target, node.args = torch.ops.aten.clone.default, node.args[:1]
    module.recompile()


def prove_ops(
    program: torch.export.ExportedProgram, rules: Sequence[OpRule], probes: Sequence[tuple[Tensor, ...]]
) -> list[ProvedOp]:
    """Every use of a rule in `program`, with op and replacement compared on all probes.

    Raises:
        Refused: a replacement differs from its op.
    """
    known = _by_op(rules)
    graph = program.module(check_guards=False)
    if not any(node.target in known for node in graph.graph.nodes):
        return []
    comparer = _Comparer(graph, known)
    for probe in probes:
        with torch.no_grad():
            comparer.run(*probe)
    return [
        ProvedOp(rule=rule, where=_where(node), max_abs_error=error)
        for (node, rule), error in comparer.errors.items()
    ]


class _Comparer(fx.Interpreter):
    """Runs a graph, and every op that has a rule twice: as it is and as the rule has it."""

    def __init__(self, module: fx.GraphModule, rules: Mapping[Any, Sequence[OpRule]]) -> None:
        super().__init__(module)
        self._rules = rules
        self.errors: dict[tuple[fx.Node, OpRule], float] = {}

    def run_node(self, n: fx.Node) -> Any:
        """The node's own result; what its rule gives is compared with it."""
        rules = self._rules.get(n.target)
        if rules is None:
            return super().run_node(n)
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        expected = rules[0].op(*args, **kwargs)
        for rule in rules:
            actual = rule.replace(*args, **kwargs)
            if actual is not NotImplemented:
                error = _difference(_read(n, expected), _read(n, actual), rule, _where(n))
                self.errors[n, rule] = max(self.errors.get((n, rule), 0.0), error)
                break
        return expected


def _read(node: fx.Node, outputs: Any) -> Any:
    """Those of an op's outputs that the graph reads: of equal values it may not matter which is named."""
    if not isinstance(outputs, tuple | list):
        return outputs
    read = [user.args[1] for user in node.users if user.target is operator.getitem and user.users]
    return [each for number, each in enumerate(outputs) if number in read]


def _difference(expected: Any, actual: Any, rule: OpRule, where: str) -> float:
    largest = 0.0
    for one, two in zip(_tensors(expected), _tensors(actual), strict=True):
        same = one.shape == two.shape and one.dtype == two.dtype
        distance = gap(one, two) if same else float("inf")
        if distance > _TOLERANCE * (1 + _scale(one)):
            raise Refused(
                op=str(rule.op),
                where=where,
                reason=f"the rewrite {rule.name} is off by {distance:.3g}",
                remedy="report it with this module; nothing was converted",
            )
        largest = max(largest, distance)
    return largest


def _tensors(value: Any) -> list[Tensor]:
    return [each for each in tree_leaves(value) if isinstance(each, Tensor)]


def gap(one: Tensor, two: Tensor) -> float:
    """The largest difference between two tensors of one shape; infinite where only one is NaN."""
    if not one.numel():
        return 0.0
    if one.is_complex():
        one, two = torch.view_as_real(one), torch.view_as_real(two)
    left, right = one.double(), two.double()
    same = (left == right) | (left.isnan() & right.isnan())
    return torch.where(same, 0.0, (left - right).abs()).nan_to_num(float("inf")).max().item()


def _scale(tensor: Tensor) -> float:
    if not tensor.numel():
        return 0.0
    sizes = tensor.abs() if tensor.is_complex() else tensor.double().abs()
    finite = sizes.double().nan_to_num(0.0, 0.0, 0.0)
    return finite.max().item()


def _where(node: fx.Node) -> str:
    """The user's `file:line` that made the node, from its stack trace."""
    from pocketrec.convert.watch.lines import line_in_trace

    return line_in_trace(node.meta.get("stack_trace") or "")
