"""Lint: the hazards of an artifact, ours or anyone's, read from its file without any engine.

A rule is a pure function over a graph, with what follows from the hazard and what to do about
it. docs/lint.md lists all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pocketrec.errors import UnsupportedOp
from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.lint import arithmetic, indices, interface, tables
from pocketrec.validate.lint.finding import SEVERITIES, Finding, Rule
from pocketrec.validate.open import FORMATS, Format, no_artifact, open_graph

__all__ = ["RULES", "Finding", "lint_artifact", "lint_graph"]

RULES: dict[str, Rule] = {**indices.RULES, **arithmetic.RULES, **tables.RULES, **interface.RULES}


def lint_artifact(path: Path, *, formats: Mapping[str, Format] = FORMATS) -> tuple[Finding, ...]:
    """The findings in an artifact, the worst first, then in rule order.

    Raises:
        UsageError: there is no such file, or its suffix is another one.
        ArtifactError: the file is damaged.
        UnsupportedOp: the file holds no graph, such as an .mlmodel that is no ML program.
    """
    if path.suffix not in formats or not path.exists():
        raise no_artifact(path, formats)
    graph = open_graph(path, formats=formats)
    if graph.unreadable:
        raise UnsupportedOp(graph.unreadable)
    return lint_graph(graph)


def lint_graph(graph: Graph) -> tuple[Finding, ...]:
    """The findings in a graph, the worst first, then in rule order."""
    found = [
        Finding(
            rule=name,
            severity=hit.severity,
            place=hit.place,
            message=hit.message,
            consequence=rule.consequence,
            remedy=rule.remedy,
        )
        for name, rule in RULES.items()
        for hit in rule.check(graph)
    ]
    return tuple(sorted(found, key=lambda each: SEVERITIES.index(each.severity)))
