"""Controls: whether a comparison could have come out otherwise."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Control:
    """One control of a comparison, as a gate; `message` says what was found, in words."""

    gate: str
    passed: bool
    message: str
