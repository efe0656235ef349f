"""Rewrites: torch to torch, once for all targets, each proved against what it replaces.

Three kinds, by what they see: a `ModuleRule` replaces modules, a `FunctionRule` calls of PyTorch
functions while the module runs, an `OpRule` ATen ops of the captured graph. A rule says what it
matches, what it puts there and when that is exact; the tables here are all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar, cast

import torch
from torch import Tensor, nn

from pocketrec.convert.rewrite import (
    arithmetic,
    counts,
    empties,
    linear_algebra,
    pools,
    scatter,
    search,
    special,
    statistics,
    windows,
)
from pocketrec.convert.rewrite.chosen_rows import ChosenPlacesRule, CountedPlacesRule
from pocketrec.convert.rewrite.composites import CompositeRule
from pocketrec.convert.rewrite.computed_weights import ComputedWeightRule
from pocketrec.convert.rewrite.data_attribute import DataRule
from pocketrec.convert.rewrite.embedding_bag import EmbeddingBagRule, EmbeddingRenormRule
from pocketrec.convert.rewrite.fast_paths import FastPathRule
from pocketrec.convert.rewrite.fbgemm import JaggedRule
from pocketrec.convert.rewrite.flex_attention import FlexAttentionRule
from pocketrec.convert.rewrite.jagged import JaggedSplitRule
from pocketrec.convert.rewrite.one_hot import OneHotRule
from pocketrec.convert.rewrite.ops import OpRule
from pocketrec.convert.rewrite.packed import PackRule, PaddedRecurrentRewrite, PartialWriteRule
from pocketrec.convert.rewrite.prefixes import TensorSliceRule
from pocketrec.convert.rewrite.projections import ProjectedLSTMRewrite
from pocketrec.convert.rewrite.row_masks import AnyRowRule, RowMaskRule
from pocketrec.convert.rewrite.scalar_index import ScalarIndexRule
from pocketrec.convert.rewrite.segments import SegmentRule
from pocketrec.convert.rewrite.splits import SymbolicSplitRule
from pocketrec.convert.watch.intercept import FunctionRule
from pocketrec.errors import Refused
from pocketrec.quantize.copies import copied

M = TypeVar("M", bound=nn.Module)


class ModuleRule(Protocol):
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
    """A rewrite that was applied: at which module or line, why, and the largest difference on the probes."""

    name: str
    where: str
    reason: str
    max_abs_error: float
    probes: int


MODULE_RULES: tuple[ModuleRule, ...] = (
    ComputedWeightRule(),
    PaddedRecurrentRewrite(),
    ProjectedLSTMRewrite(),
    FastPathRule(),
)
FUNCTION_RULES: tuple[FunctionRule, ...] = (
    DataRule(),
    PackRule(),
    PartialWriteRule(),
    TensorSliceRule(),
    FlexAttentionRule(),
    ScalarIndexRule(),
    SymbolicSplitRule(),
    CompositeRule(),
    EmbeddingBagRule(),
    EmbeddingRenormRule(),
    SegmentRule(),
    JaggedRule(),
    OneHotRule(),
)
OP_RULES: tuple[OpRule, ...] = (
    *counts.RULES,
    *empties.RULES,
    *linear_algebra.RULES,
    *pools.RULES,
    *search.RULES,
    *special.RULES,
    *arithmetic.RULES,
    *scatter.RULES,
    *statistics.RULES,
    *windows.RULES,
)

# Tried where the forward depends on values, after it failed without them: rows are then all computed.
ROW_RULES: tuple[FunctionRule, ...] = (
    RowMaskRule(),
    AnyRowRule(),
    JaggedSplitRule(),
)
# Tried after these: a mask of several axes chooses one place of each row, or places that are reduced.
CHOSEN_RULES: tuple[FunctionRule, ...] = (ChosenPlacesRule(), CountedPlacesRule(), *ROW_RULES)

# A replacement sums the same float32 numbers in another order; anything more is a wrong rewrite.
_TOLERANCE = 1e-5


def replace_modules(
    module: M, rules: Sequence[ModuleRule] = MODULE_RULES
) -> tuple[M, list[tuple[str, ModuleRule]]]:
    """A copy with the matching modules replaced, and what was replaced where.

    Parameters are shared with the original, so that no table is held twice; the module itself
    comes back where nothing matched.
    """
    named = [*module.named_modules(remove_duplicate=False)]
    fitting = {each: [rule for rule in rules if rule.matches(each)] for _, each in named}
    if not any(fitting.values()):
        return module, []
    result = copy_sharing(module)
    done: dict[nn.Module, nn.Module] = {}
    places = []
    for path, each in named:
        if not fitting[each]:
            continue
        if each not in done:
            # What is replaced is a part of the copy, which may hold replacements already.
            replacement = result.get_submodule(path)
            for rule in fitting[each]:
                replacement = rule.replace(replacement).eval()
                places.append((path, rule))
            done[each] = replacement
        result = _with_module(result, path, done[each])
    return result, places


def _with_module(root: M, path: str, module: nn.Module) -> M:
    """`root` with `module` at `path`; the module itself where the path is empty."""
    if not path:
        return cast("M", module)
    parent, _, name = path.rpartition(".")
    setattr(root.get_submodule(parent), name, module)
    return root


def prove_same(
    original: nn.Module, rewritten: nn.Module, probes: Sequence[tuple[Tensor, ...]], names: Sequence[str]
) -> float:
    """The largest difference between the outputs of both on the probes.

    Args:
        original: returns a tuple of tensors.
        rewritten: the same with rewrites.
        probes: inputs of both.
        names: of the rewrites.

    Raises:
        Refused: it is more than float noise.
    """
    largest = 0.0
    for number, probe in enumerate(probes):
        pairs = zip(_outputs(original, probe), _outputs(rewritten, probe), strict=True)
        for expected, actual in pairs:
            same = expected.shape == actual.shape and torch.equal(expected.isnan(), actual.isnan())
            gap = (expected - actual).abs().nan_to_num() if same else torch.tensor([torch.inf])
            bound = _TOLERANCE * (1 + expected.abs().nan_to_num())
            if not same or not bool((gap <= bound).all()):
                raise Refused(
                    op=", ".join(dict.fromkeys(names)) or "rewrite",
                    where="",
                    reason=f"the rewrite is off by {gap.max().item():.3g} on probe {number}",
                    remedy="report it with this module; the original was not converted",
                )
            largest = max(largest, gap.max().item() if gap.numel() else 0.0)
    return largest


def _outputs(module: nn.Module, probe: tuple[Tensor, ...]) -> list[Tensor]:
    with torch.no_grad():
        return [each.double() for each in module(*(each.clone() for each in probe))]


def copy_sharing(module: M) -> M:
    """A deep copy that shares every parameter and buffer with the original."""
    shared = {id(each): each for each in (*module.parameters(), *module.buffers())}
    return copied(module, shared)
