"""What a rule says about an artifact, and how bad it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from pocketrec.validate.artifact.graph import Graph

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """One place where a rule fires: the op or tensor, and what is wrong with it there."""

    severity: Severity
    place: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A hazard: how it is found in a graph, what follows from it, and what to do about it."""

    check: Callable[[Graph], Iterator[Hit]]
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
