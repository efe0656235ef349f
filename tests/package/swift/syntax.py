"""Swift's syntax by tree-sitter's grammar: what can be told of generated code where there is no compiler.

It tells unbalanced and misplaced words from code. It knows no types, names or rules of concurrency: those
are the compiler's (`make swift`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import tree_sitter_swift
from tree_sitter import Language, Node, Parser

# Swift knows `each` as a word only in packs of parameters; the grammar also where it is a name before an
# operator.
_NAME = re.compile(r"\beach\b(?!\s+[A-Z(])")
_PACKS = re.compile(r"<\s*each\s|\brepeat\s+each\s")


def faults(text: str) -> list[str]:
    """A line for each place that is no Swift: line and column from 1, and the line's text."""
    plain = text if _PACKS.search(text) else _NAME.sub("ever", text)
    tree = Parser(Language(tree_sitter_swift.language())).parse(plain.encode())
    lines = text.split("\n")
    return [f"{row + 1}:{column + 1}: {lines[row].strip()}" for row, column in _places(tree.root_node)]


def _places(node: Node) -> Iterator[tuple[int, int]]:
    """Where words stand that fit nowhere, and where some are missing."""
    if node.is_error or node.is_missing:
        yield node.start_point.row, node.start_point.column
    elif node.has_error:
        for each in node.children:
            yield from _places(each)
