"""A chart as SVG text: two axes, and bars, steps and dots between them. Readable on light and dark alike."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from html import escape
from typing import Literal

INK = "#808890"  # has contrast on white and on near-black
_WIDTH, _TOP, _RIGHT, _BOTTOM = 640, 10, 14, 42  # pixels
_LETTER = 6.2  # pixels of a letter at the font's size, about
_LINE = 16  # pixels of a line of the legend
_MOST_TICKS = 9

Scale = Literal["linear", "log", "counts"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """Numbers along an edge of the chart.

    Attributes:
        label: what they are, with the unit.
        low: stands at the left or at the bottom.
        high: stands at the other end; below `low` on an axis that runs the other way.
        scale: `counts` is logarithmic from 1 on and has a place for 0.
        names: stand at 0.5, 1.5, … instead of numbers.
    """

    label: str
    low: float
    high: float
    scale: Scale = "linear"
    names: Sequence[str] = ()

    def share(self, value: float) -> float:
        """Where the value stands, from 0 at `low` to 1 at `high`."""
        low, high = self._bent(self.low), self._bent(self.high)
        return (self._bent(value) - low) / (high - low)

    def _bent(self, value: float) -> float:
        if self.scale == "linear":
            return value
        return math.log10(value) if self.scale == "log" else math.log10(1 + value)

    def ticks(self) -> list[tuple[float, str]]:
        """Values that are marked, with their text."""
        if self.names:
            return [(number + 0.5, name) for number, name in enumerate(self.names)]
        return [(each, f"{each:g}") for each in self._round_values()]

    def _round_values(self) -> list[float]:
        if self.scale == "linear":
            step = _round_step((self.high - self.low) / 5)
            first, last = math.ceil(self.low / step), math.floor(self.high / step)
            return [number * step for number in range(first, last + 1)]
        if self.scale == "counts":
            return [0.0, *_decades(1, self.high, (1,))]
        found = _decades(self.low, self.high, (1, 2, 5))
        return found if len(found) <= _MOST_TICKS else _decades(self.low, self.high, (1,))


def axis_around(label: str, values: Iterable[float], scale: Scale = "linear") -> Axis:
    """An axis from the least to the greatest of the values, or around a single one."""
    known = list(values)
    low, high = min(known), max(known)
    if low == high:
        low, high = (low / 2, high * 2) if scale == "log" else (low - 0.5, high + 0.5)
    return Axis(label=label, low=low, high=high, scale=scale)


def _round_step(size: float) -> float:
    """The step of 1, 2 or 5 times a power of ten that is next to `size` from above."""
    power = 10.0 ** math.floor(math.log10(size))
    return next(each * power for each in (1, 2, 5, 10) if each * power >= size * 0.999)


def _decades(low: float, high: float, factors: Sequence[int]) -> list[float]:
    exponents = range(math.floor(math.log10(low)), math.floor(math.log10(high)) + 1)
    values = [factor * 10.0**exponent for exponent in exponents for factor in factors]
    return [each for each in values if low <= each <= high]


@dataclass(slots=True, kw_only=True)
class Chart:
    """Marks between two axes, drawn in the order in which they come; a legend is added to its height."""

    x: Axis
    y: Axis
    height: float
    _marks: list[str] = field(default_factory=list)
    _legend: list[tuple[str, str]] = field(default_factory=list)

    def bar(self, left: float, right: float, bottom: float, top: float, color: str) -> None:
        """Adds a rectangle between two places of each axis."""
        (x0, x1), (y0, y1) = sorted((self._x(left), self._x(right))), sorted((self._y(bottom), self._y(top)))
        self._marks.append(
            f'<rect x="{x0:.1f}" y="{y0:.1f}" width="{x1 - x0:.1f}" height="{y1 - y0:.1f}" fill="{color}"/>'
        )

    def steps(self, points: Sequence[tuple[float, float]], color: str, label: str = "") -> None:
        """Adds a line that keeps the height of each point up to the next one."""
        (x, y), *rest = points
        path = [f"M{self._x(x):.1f} {self._y(y):.1f}"]
        path += [f"H{self._x(x):.1f}V{self._y(y):.1f}" for x, y in rest]
        self._marks.append(f'<path d="{"".join(path)}" fill="none" stroke="{color}" stroke-width="1.5"/>')
        self._name(color, label)

    def dot(self, x: float, y: float, color: str, label: str = "") -> None:
        """Adds a dot."""
        self._marks.append(f'<circle cx="{self._x(x):.1f}" cy="{self._y(y):.1f}" r="3" fill="{color}"/>')
        self._name(color, label)

    def _name(self, color: str, label: str) -> None:
        if label:
            self._legend.append((color, label))

    @property
    def _left(self) -> float:
        return 30 + _LETTER * max((len(text) for _, text in self.y.ticks()), default=0)

    def _x(self, value: float) -> float:
        return self._left + self.x.share(value) * (_WIDTH - _RIGHT - self._left)

    def _y(self, value: float) -> float:
        return self.height - _BOTTOM - self.y.share(value) * (self.height - _BOTTOM - _TOP)

    def svg(self) -> str:
        """The chart as an <svg> element, the same text for the same marks."""
        height = self.height + _LINE * len(self._legend)
        size = f'width="{_WIDTH}" height="{height:g}" viewBox="0 0 {_WIDTH} {height:g}"'
        style = f'font-family="sans-serif" font-size="11" fill="{INK}"'
        inside = "\n".join([*self._marks, *self._axes(), *self._names()])
        return f'<svg xmlns="http://www.w3.org/2000/svg" {size} {style}>\n{inside}\n</svg>'

    def _axes(self) -> list[str]:
        left, bottom, right = self._left, self.height - _BOTTOM, _WIDTH - _RIGHT
        found = [
            f'<path d="M{left:.1f} {_TOP}V{bottom:.1f}H{right}" fill="none" stroke="{INK}"/>',
            _text((left + right) / 2, self.height - 6, self.x.label, "middle"),
        ]
        for value, text in self.x.ticks():
            found.append(_text(self._x(value), bottom + 15, text, "middle"))
            found.append(f'<path d="M{self._x(value):.1f} {bottom:.1f}v3" stroke="{INK}"/>')
        for value, text in self.y.ticks():
            found.append(_text(left - 6, self._y(value) + 4, text, "end"))
            found.append(f'<path d="M{left:.1f} {self._y(value):.1f}h-3" stroke="{INK}"/>')
        if self.y.label:
            middle = (bottom + _TOP) / 2
            turned = _text(0, 0, self.y.label, "middle")
            found.append(f'<g transform="translate(12 {middle:.1f}) rotate(-90)">{turned}</g>')
        return found

    def _names(self) -> list[str]:
        """The legend, below the axes."""
        found = []
        for number, (color, label) in enumerate(self._legend):
            y = self.height + _LINE * (number + 0.5)
            found.append(
                f'<rect x="{self._left:.1f}" y="{y - 8:.1f}" width="10" height="10" fill="{color}"/>'
            )
            found.append(_text(self._left + 15, y + 1, label, "start"))
        return found


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
