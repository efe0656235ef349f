"""Lint: the hazards of an artifact, ours or anyone's, read from its file without any engine.

A rule is a pure function over a graph, with what follows from the hazard and what to do about
it; what is a hazard in one engine alone is asked for by its name. docs/lint.md lists all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketrec.errors import UnsupportedOp
from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.artifact.onnx_file import load_onnx
from pocketrec.validate.lint import arithmetic, indices, interface, tables, web
from pocketrec.validate.lint.finding import SEVERITIES, Finding, Read, Rule
from pocketrec.validate.open import FORMATS, Format, no_artifact, open_graph

__all__ = ["ENGINES", "RULES", "Finding", "lint_artifact", "lint_graph"]

RULES: dict[str, Rule[Graph]] = {**indices.RULES, **arithmetic.RULES, **tables.RULES, **interface.RULES}
ENGINES: dict[str, dict[str, Rule[Any]]] = {"web": web.RULES}  # what one engine alone is in danger of


def lint_artifact(
    path: Path, *, engine: str | None = None, formats: Mapping[str, Format] = FORMATS
) -> tuple[Finding, ...]:
    """The findings in an artifact, the worst first, then in rule order.

    Args:
        path: of the artifact.
        engine: one of `ENGINES`, whose rules for .onnx files are asked too.
        formats: what opens an artifact, by suffix.

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
    found = _findings(RULES, graph)
    if engine is not None:
        found += _findings(ENGINES[engine], load_onnx(path))
    return _worst_first(found)


def lint_graph(graph: Graph) -> tuple[Finding, ...]:
    """The findings in a graph, the worst first, then in rule order."""
    return _worst_first(_findings(RULES, graph))


def _findings(rules: Mapping[str, Rule[Read]], read: Read) -> list[Finding]:
    return [
        Finding(
            rule=name,
            severity=hit.severity,
            place=hit.place,
            message=hit.message,
            consequence=rule.consequence,
            remedy=rule.remedy,
        )
        for name, rule in rules.items()
        for hit in rule.check(read)
    ]


def _worst_first(found: list[Finding]) -> tuple[Finding, ...]:
    return tuple(sorted(found, key=lambda each: SEVERITIES.index(each.severity)))
