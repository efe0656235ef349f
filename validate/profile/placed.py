"""What Core ML says of a program for one setting of its compute units, as data."""

from __future__ import annotations

from dataclasses import dataclass

from pocketrec.validate.profile.ops import OpTime
from pocketrec.validate.profile.statistics import Distribution


@dataclass(frozen=True, slots=True, kw_only=True)
class OpPlace:
    """Where Core ML would run an op.

    Attributes:
        type: the op's.
        name: the op's.
        device: that Core ML prefers; empty where it does not say.
        supported: devices that could.
        weight: the plan's share of the work; None where it does not say.
        why_not: why not on the Neural Engine, as far as anybody says; empty where it would run there.
    """

    type: str
    name: str
    device: str
    supported: tuple[str, ...]
    weight: float | None
    why_not: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OnUnits:
    """One setting of `compute_units`.

    Attributes:
        compute_units: the setting.
        plan: of every op but constants, in order.
        load: by MLModelBenchmarker; None where it did not run.
        predict: likewise.
        ops: estimates by MLModelBenchmarker, a prediction's time by the plan's weights.
        reason: why something of it is missing; else empty.
    """

    compute_units: str
    plan: tuple[OpPlace, ...] = ()
    load: Distribution | None = None
    predict: Distribution | None = None
    ops: tuple[OpTime, ...] = ()
    reason: str = ""
