"""A treemap: rectangles whose areas are what things weigh, the largest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

_WIDE, _HIGH = 2.0, 1.0
_NAMED = 0.03  # share of the area from which there is room for a name
_COLORS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    """Something that weighs: `group` gives its colour, grey where it is None; `text` says its weight."""

    name: str
    weight: float
    text: str
    group: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """A rectangle, in shares of the whole."""

    left: float
    top: float
    width: float
    height: float


def treemap(tiles: Sequence[Tile], *, label: str, groups: Sequence[str] = ()) -> Markup:
    """Returns a treemap of what weighs more than nothing, with the names of groups below it."""
    known = sorted((each for each in tiles if each.weight > 0), key=lambda each: -each.weight)
    boxes = squarified([each.weight for each in known])
    parts = Markup("").join(_tile(*pair) for pair in zip(known, boxes, strict=True))
    names = Markup("").join(
        Markup('<li><span class="swatch t{}"></span>{}</li>').format(place % _COLORS + 1, name)
        for place, name in enumerate(groups)
    )
    legend = Markup('<ul class="legend">{}</ul>').format(names) if groups else Markup()
    return Markup('<div class="treemap" role="img" aria-label="{}">{}</div>{}').format(label, parts, legend)


def _tile(tile: Tile, box: Box) -> Markup:
    named = box.width * box.height >= _NAMED
    inside = Markup("<b>{}</b><span>{}</span>").format(tile.name, tile.text) if named else Markup()
    place = ";".join(f"{key}:{100 * getattr(box, key):.3f}%" for key in ("left", "top", "width", "height"))
    return Markup('<div class="tile t{}" style="{}" title="{}: {}">{}</div>').format(
        0 if tile.group is None else tile.group % _COLORS + 1, place, tile.name, tile.text, inside
    )


def squarified(weights: Sequence[float]) -> list[Box]:
    """Returns a rectangle for each weight, as near to squares as rows allow; weights fall, and none is 0.

    Bruls, Huizing, van Wijk, "Squarified Treemaps", 2000.
    """
    scale = _WIDE * _HIGH / (sum(weights) or 1.0)
    areas, found = [each * scale for each in weights], []
    left, top, width, height = 0.0, 0.0, _WIDE, _HIGH
    while areas:
        side = min(width, height)
        count = _row_length(areas, side)
        row, areas = areas[:count], areas[count:]
        thick = sum(row) / side
        along = 0.0
        for area in row:
            long = area / thick
            if width >= height:
                found.append((left, top + along, thick, long))
            else:
                found.append((left + along, top, long, thick))
            along += long
        if width >= height:
            left, width = left + thick, width - thick
        else:
            top, height = top + thick, height - thick
    return [Box(left=x / _WIDE, top=y / _HIGH, width=w / _WIDE, height=h / _HIGH) for x, y, w, h in found]


def _row_length(areas: Sequence[float], side: float) -> int:
    """How many of the areas stand in the next row: as long as the worst of them does not become thinner."""
    count, total = 1, areas[0]
    while count < len(areas):
        more = total + areas[count]
        if _worst(areas[0], areas[count], more, side) > _worst(areas[0], areas[count - 1], total, side):
            break
        count, total = count + 1, more
    return count


def _worst(largest: float, smallest: float, total: float, side: float) -> float:
    """How far the row's rectangles are from squares."""
    return max(side**2 * largest / total**2, total**2 / (side**2 * smallest))
