"""What a rule says about an artifact, and how bad it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Severity = Literal["error", "warning", "note"]
Read = TypeVar("Read")  # what a rule reads: a graph, or a file as its format has it
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One place where a rule fires: the op or tensor, and what is wrong with it there."""

    severity: Severity
    place: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule(Generic[Read]):
    """A hazard: how it is found, what follows from it, and what to do about it."""

    check: Callable[[Read], Iterator[Hit]]
    consequence: str
    remedy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A hazard met in an artifact.

    Attributes:
        rule: the rule's name in `RULES`; docs/lint.md has it.
        severity: `error` gives other results, `warning` may or costs much, `note` is worth knowing.
        place: the op, tensor, input or output.
        message: what is there, with its sizes and dtypes.
        consequence: what follows from it.
        remedy: what to do about it.
    """

    rule: str
    severity: Severity
    place: str
    message: str
    consequence: str
    remedy: str
