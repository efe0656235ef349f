"""A chart as SVG: two axes, and bars, steps and dots between them.

Places are shares of the width, so letters keep their size however wide the chart is shown. Colours are
classes of the page's style, `f1` … and `s1` …, right on light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup

_LETTER = 7.0  # pixels of a letter at the font's size, about
_MOST_TICKS = 6
_FAR = 1e100  # numbers beyond are no measurements

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
        """Where the value stands, from 0 at `low` to 1 at `high`; at an end where it lies beyond."""
        low, high = self._bent(self.low), self._bent(self.high)
        share = (self._bent(value) - low) / (high - low or 1.0)
        return min(1.0, max(0.0, share)) if math.isfinite(share) else float(value > self.high)

    def _bent(self, value: float) -> float:
        if self.scale == "linear":
            return value
        if self.scale == "log":
            return math.log10(value) if value > 0 else -math.inf
        return math.log10(1 + max(0.0, value))

    def ticks(self) -> list[tuple[float, str]]:
        """Values that are marked, with their text."""
        if self.names:
            return [(number + 0.5, name) for number, name in enumerate(self.names)]
        return [(each, f"{each:g}") for each in self._round_values()]

    def _round_values(self) -> list[float]:
        if self.low == self.high:
            return [self.low]
        if self.scale == "linear":
            step = _round_step((self.high - self.low) / 5)
            first, last = math.ceil(self.low / step), math.floor(self.high / step)
            return [number * step for number in range(first, last + 1)]
        if self.scale == "counts":
            return [0.0, *_decades(min(10, self.high), self.high, (1,))]
        found = _decades(self.low, self.high, (1, 2, 5))
        if len(found) > _MOST_TICKS:
            found = _decades(self.low, self.high, (1,))
        return found[:: -(-len(found) // _MOST_TICKS) or 1]


def axis_around(label: str, values: Iterable[float], scale: Scale = "linear") -> Axis:
    """An axis from the least to the greatest of the values that it can hold, or around a single one."""
    least = 1 / _FAR if scale == "log" else -_FAR
    known = [each for each in values if least <= each <= _FAR] or [1.0]
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
    """Marks between two axes, drawn in the order in which they come.

    Attributes:
        label: what it shows, for those who hear it.
        height: of the plane between the axes, in pixels.
    """

    x: Axis
    y: Axis
    label: str
    height: int = 200
    _marks: list[Markup] = field(default_factory=list)
    _legend: list[tuple[int, str]] = field(default_factory=list)

    def bar(self, left: float, right: float, bottom: float, top: float, color: int, said: str = "") -> None:
        """Adds a rectangle between two places of each axis."""
        x0, x1 = sorted((self.x.share(left), self.x.share(right)))
        y0, y1 = sorted((1 - self.y.share(bottom), 1 - self.y.share(top)))
        self._marks.append(
            Markup('<rect x="{}" y="{}" width="{}" height="{}" class="f{}">{}</rect>').format(
                percent(x0), percent(y0), percent(x1 - x0), percent(y1 - y0), color, _said(said)
            )
        )

    def steps(self, points: Sequence[tuple[float, float]], color: int, label: str = "") -> None:
        """Adds a line that keeps the height of each point up to the next one."""
        (x, y), *rest = [(1000 * self.x.share(x), 1000 * (1 - self.y.share(y))) for x, y in points]
        path = f"M{x:.0f} {y:.0f}" + "".join(f"H{x:.0f}V{y:.0f}" for x, y in rest)
        self._marks.append(
            Markup(
                '<svg viewBox="0 0 1000 1000" preserveAspectRatio="none" width="100%" height="100%">'
                '<path d="{}" class="line s{}"/></svg>'
            ).format(path, color)
        )
        if label:
            self._legend.append((color, label))

    def dot(self, x: float, y: float, color: int, said: str = "", *, large: bool = False) -> None:
        """Adds a dot; a large one has its text beside it."""
        cx, cy = self.x.share(x), 1 - self.y.share(y)
        self._marks.append(
            Markup('<circle cx="{}" cy="{}" r="{}" class="f{}">{}</circle>').format(
                percent(cx), percent(cy), 6 if large else 4, color, _said(said)
            )
        )
        if large:
            end = cx > 0.6
            self._marks.append(
                Markup('<text x="{}" y="{}" dx="{}" dy="-8" class="strong"{}>{}</text>').format(
                    percent(cx), percent(cy), -10 if end else 10, _END if end else "", said
                )
            )

    def svg(self) -> Markup:
        """Returns the chart with its legend, the same text for the same marks."""
        names = (len(text) for _, text in self.y.ticks())
        left = 14 + (16 if self.y.label else 0) + math.ceil(_LETTER * max(names, default=0))
        return Markup(
            '<div class="chart" style="--left:{}px"><svg height="{}" role="img" aria-label="{}">{}{}</svg>'
            "</div>{}"
        ).format(left, self.height, self.label, self._axes(left), Markup("").join(self._marks), self._names())

    def _axes(self, left: int) -> Markup:
        found = [_line("0%", "100%", "100%", "100%", "axis")]
        for value, text in self.y.ticks():
            place = percent(1 - self.y.share(value))
            found.append(_line("0%", "100%", place, place, "rule"))
            found.append(Markup('<text x="-8" y="{}" dy="4"{}>{}</text>').format(place, _END, text))
        for value, text in self.x.ticks():
            found.append(x_tick(self.x.share(value), text))
        found.append(x_label(self.x.label))
        if self.y.label:
            found.append(
                Markup('<g transform="translate({} {}) rotate(-90)"><text{}>{}</text></g>').format(
                    14 - left, self.height // 2, _MIDDLE, self.y.label
                )
            )
        return Markup("").join(found)

    def _names(self) -> Markup:
        """The legend, below the axes."""
        if not self._legend:
            return Markup()
        items = Markup("").join(
            Markup(
                '<li><svg aria-hidden="true"><line x1="0" x2="26" y1="6" y2="6" class="line s{}"/></svg>'
                "{}</li>"
            ).format(color, label)
            for color, label in self._legend
        )
        return Markup('<ul class="legend">{}</ul>').format(items)


_END, _MIDDLE = Markup(' text-anchor="end"'), Markup(' text-anchor="middle"')


def percent(share: float) -> str:
    """Returns a share as SVG takes it."""
    return f"{100 * share:.2f}%"


def x_tick(share: float, text: str) -> Markup:
    """Returns a text below an axis, that stays within it at both ends."""
    anchor = Markup() if share < 0.02 else _END if share > 0.98 else _MIDDLE
    return Markup('<text x="{}" y="100%" dy="17"{}>{}</text>').format(percent(share), anchor, text)


def x_label(text: str) -> Markup:
    """Returns what an axis is called, below its ticks."""
    return Markup('<text x="50%" y="100%" dy="38"{}>{}</text>').format(_MIDDLE, text)


def _line(x1: str, x2: str, y1: str, y2: str, name: str) -> Markup:
    return Markup('<line x1="{}" x2="{}" y1="{}" y2="{}" class="{}"/>').format(x1, x2, y1, y2, name)


def _said(text: str) -> Markup:
    return Markup("<title>{}</title>").format(text) if text else Markup()
