"""Whether every target can carry what a plan asks for, known before anything is loaded."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pocketrec.convert.targets import carries, row_of
from pocketrec.errors import PlanError
from pocketrec.recipe import Compress, Target

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.quantize import Plan
    from pocketrec.quantize.schemes import Scheme

_SHAPE = (16, 2400)  # of a stand-in table: 2400 is a multiple of the usual block sizes


def check_carried(
    compress: Compress,
    targets: Mapping[str, Target],
    source: str = "recipe",
    shapes: Mapping[str, tuple[int, ...]] | None = None,
) -> None:
    """Checks that a stated plan, or a preset, fits the targets' minimum_deployment_target.

    Args:
        compress: what is asked for.
        targets: as in the recipe; one with gather_codes has forms of its own, and is left out.
        source: the recipe's name, for messages.
        shapes: of the module's tensors, once it is loaded; without them a preset is not checked.

    Raises:
        PlanError: a Core ML target has no form for a scheme; names both keys and the lowest that has.
    """
    for key, scheme in _schemes(compress, source, shapes or {}).items():
        try:
            made = scheme.quantize("table", _table())
        except PlanError:
            continue  # it needs the tensor's own shape, and is checked with it
        for name, target in targets.items():
            if not target.gather_codes and not carries(made, target):
                lowest = row_of(name, target).lowest(made)
                raise PlanError(
                    f"{source}: {key} needs targets.{name}.minimum_deployment_target = {lowest!r}; it is "
                    f"{target.minimum_deployment_target!r}; raise it, or change the scheme"
                )


def tensor_shapes(module: nn.Module) -> dict[str, tuple[int, ...]]:
    """The shapes of the module's tensors that can be compressed, by name."""
    from pocketrec.quantize.reference import compressible

    return {name: tuple(each.shape) for name, each in compressible(module).items()}


def _schemes(compress: Compress, source: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Scheme]:
    """The schemes that the recipe states, by key."""
    from pocketrec.quantize import plan_from_table
    from pocketrec.quantize.presets import PRESETS, preset_plan

    plan: Plan = plan_from_table(compress.tensors, source=source)
    found = {f"compress.tensors.{name!r}": each for name, each in plan.tensors.items()}
    if compress.preset in PRESETS:
        planned = preset_plan(compress.preset, shapes, {}).tensors
        largest = max(planned, key=lambda name: math.prod(shapes[name]), default=None)
        if largest is not None:
            found[f"compress.preset = {compress.preset!r}"] = planned[largest]
    return found


def _table() -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return np.random.default_rng(0).normal(size=_SHAPE).astype(np.float32)
