"""A table under a title, as the page shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pocketrec.validate.report.page.parts import Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table under a title; cells are as of `page.parts.table`."""

    title: str
    head: Sequence[str]
    rows: Sequence[Sequence[str | Markup | Cell]]
