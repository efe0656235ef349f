"""A call as a flame: function ▸ modules ▸ line of source ▸ op, each as wide as its share; an inline SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from markupsafe import Markup

from pocketrec.validate.profile.lines import Row

_ROW, _THINNEST = 24, 0.0005  # pixels of a level; a share that is narrower than a pixel
_FILLS = ("--wash", "--well", "--good-wash", "--warn-wash")  # function, module, line, op


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One block: what it is of, its level from 0, where it begins and how wide it is, in shares of the whole.

    `kind` is 0 for the function, 1 for a module, 2 for a line, 3 for an op.
    """

    name: str
    kind: int
    level: int
    start: float
    share: float
    value: float


@dataclass(slots=True)
class _Node:
    name: str
    kind: int
    value: float = 0.0
    inner: dict[tuple[int, str], _Node] = field(default_factory=dict)


def blocks(rows: Sequence[Row], function: str) -> tuple[Block, ...]:
    """Milliseconds of rows as blocks, the widest first on each level; operations where nobody told times."""
    timed = any(row.ms is not None for row in rows)
    root = _Node(function, 0)
    for row in rows:
        value = (row.ms if timed else row.operations) or 0.0
        node, root.value = root, root.value + value
        for kind, name in _path(row):
            node = node.inner.setdefault((kind, name), _Node(name, kind))
            node.value += value
    return tuple(_laid(root, 0, 0.0, root.value)) if root.value else ()


def _path(row: Row) -> Iterator[tuple[int, str]]:
    for part in filter(None, row.module.split(".")):
        yield 1, part
    yield 2, row.source
    yield 3, f"{row.type} {row.name}"


def _laid(node: _Node, level: int, start: float, whole: float) -> Iterator[Block]:
    yield Block(
        name=node.name,
        kind=node.kind,
        level=level,
        start=start / whole,
        share=node.value / whole,
        value=node.value,
    )
    for each in sorted(node.inner.values(), key=lambda inner: (-inner.value, inner.name)):
        yield from _laid(each, level + 1, start, whole)
        start += each.value


def flame(rows: Sequence[Row], function: str) -> Markup:
    """Returns the figure; empty where there is nothing to show."""
    laid = [each for each in blocks(rows, function) if each.share > _THINNEST]
    if not laid:
        return Markup()
    timed = any(row.ms is not None for row in rows)
    height = _ROW * (1 + max(each.level for each in laid))
    drawn = Markup("\n").join(_drawn(each, timed) for each in laid)
    what = "milliseconds of a call" if timed else "operations of a call"
    return Markup(
        '<figure><svg role="img" aria-label="{}, by module, line and op" width="100%" height="{}">{}</svg>'
        "<figcaption>Each block is as wide as its share of the {}; below it is what is inside of it: "
        "modules, lines of source, ops. Rest a pointer on one to read it; the tables have them all."
        "</figcaption></figure>"
    ).format(what, height, drawn, what)


def _drawn(each: Block, timed: bool) -> Markup:
    value = f"{each.value:.4f} ms" if timed else f"{each.value:,.0f} operations"
    return Markup(
        '<svg x="{:.3f}%" y="{}" width="{:.3f}%" height="{}"><title>{}: {}, {:.1%}</title>'
        '<rect width="100%" height="100%" style="fill:var({});stroke:var(--card)"/>'
        '<text class="strong" x="5" y="16">{}</text></svg>'
    ).format(
        100 * each.start,
        each.level * _ROW,
        100 * each.share,
        _ROW,
        each.name,
        value,
        each.share,
        _FILLS[each.kind],
        each.name,
    )
