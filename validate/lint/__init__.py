"""Lint: the hazards of an artifact, ours or anyone's, read from its file without any engine.

A rule is a pure function over a graph view, with what follows from the hazard and what to do about
it. docs/lint.md lists all of them.
"""

from __future__ import annotations

from pathlib import Path

from pocketrec.errors import UsageError
from pocketrec.validate.lint import arithmetic, indices, interface, tables
from pocketrec.validate.lint.coreml_graph import coreml_graph
from pocketrec.validate.lint.finding import SEVERITIES, Finding, Rule
from pocketrec.validate.lint.graph import Graph
from pocketrec.validate.lint.onnx_graph import onnx_graph

__all__ = ["RULES", "Finding", "lint_artifact", "lint_graph"]

RULES: dict[str, Rule] = {**indices.RULES, **arithmetic.RULES, **tables.RULES, **interface.RULES}
_READERS = {".onnx": onnx_graph, ".mlpackage": coreml_graph, ".mlmodel": coreml_graph}


def lint_artifact(path: Path) -> tuple[Finding, ...]:
    """The findings in an .onnx, .mlpackage or .mlmodel file, the worst first, then in rule order.

    Raises:
        UsageError: there is no such file, or its suffix is another one.
        ArtifactError: the file is damaged.
        UnsupportedOp: the .mlmodel is no ML program.
    """
    if path.suffix not in _READERS or not path.exists():
        raise UsageError(f"{path}: expected a bundle, a .mlpackage, a .mlmodel or a .onnx file")
    return lint_graph(_READERS[path.suffix](path))


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
