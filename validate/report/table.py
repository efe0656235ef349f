"""A table of text under a title, as both reports show it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table of text under a title."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]
