"""Rewrites: torch to torch, once for all targets, each proved against what it replaces.

A rewrite names the modules that it matches and what it puts there. `apply_rewrites` replaces
them in a copy, runs every probe through both, and refuses a replacement that differs.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite.embedding_bag import EmbeddingBagRewrite
from pocketrec.errors import Refused

M = TypeVar("M", bound=nn.Module)


class Rule(Protocol):
    """A rewrite of one kind of module."""

    name: str
    reason: str

    def matches(self, module: nn.Module) -> bool:
        """True where this rule replaces `module`; raises Refused where nothing equal exists."""
        ...

    def replace(self, module: nn.Module) -> nn.Module:
        """A module that computes the same from operations that every target has."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewrite:
    """A rewrite that was applied: at which module, why, and the largest difference on the probes."""

    name: str
    where: str
    reason: str
    max_abs_error: float
    probes: int


RULES: tuple[Rule, ...] = (EmbeddingBagRewrite(),)

# A replacement sums the same float32 numbers in another order; anything more is a wrong rewrite.
_TOLERANCE = 1e-5


def apply_rewrites(
    module: M, probes: Sequence[tuple[Tensor, ...]], rules: Sequence[Rule] = RULES
) -> tuple[M, tuple[Rewrite, ...]]:
    """A rewritten copy and what was replaced; the module itself where nothing matched.

    Parameters are shared with the original, so that no table is held twice.

    Raises:
        Refused: a replacement differs from the original on a probe.
    """
    matched = [
        (path, each, rule)
        for path, each in module.named_modules(remove_duplicate=True)
        for rule in rules
        if path and rule.matches(each)
    ]
    if not matched:
        return module, ()
    result = _copy_sharing(module)
    for path, each, rule in matched:
        parent, _, name = path.rpartition(".")
        setattr(result.get_submodule(parent), name, rule.replace(each))
    result.eval()
    error = _largest_difference(module, result, probes, matched)
    return result, tuple(
        Rewrite(name=rule.name, where=path, reason=rule.reason, max_abs_error=error, probes=len(probes))
        for path, _, rule in matched
    )


def _copy_sharing(module: M) -> M:
    shared = {id(each): each for each in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, dict(shared))


def _largest_difference(
    module: nn.Module,
    result: nn.Module,
    probes: Sequence[tuple[Tensor, ...]],
    matched: Sequence[tuple[str, nn.Module, Rule]],
) -> float:
    largest = 0.0
    for number, probe in enumerate(probes):
        with torch.no_grad():
            pairs = zip(module(*probe), result(*probe), strict=True)
        for expected, actual in pairs:
            gap = (expected.double() - actual.double()).abs()
            bound = _TOLERANCE * (1 + expected.double().abs())
            if expected.shape != actual.shape or not bool((gap <= bound).all()):
                path, _, rule = matched[0]
                raise Refused(
                    op=rule.name,
                    where=path,
                    reason=f"the rewrite is off by {gap.max().item():.3g} on probe {number}",
                    remedy="report it with this module; the original was not converted",
                )
            largest = max(largest, gap.max().item() if gap.numel() else 0.0)
    return largest
