"""A dot plot: a row per figure, its dot and its interval on one axis, its text beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from pocketrec.validate.report.page.chart import Axis, percent, x_label, x_tick

_TICKS = 4  # there is room for on a phone


@dataclass(frozen=True, slots=True, kw_only=True)
class Dot:
    """A figure of a dot plot.

    Attributes:
        name: stands at its left.
        value: where its dot is; None where there is none.
        text: the figure in words, at its right.
        low: where its interval begins; None where it has none.
        high: where it ends.
        hollow: whether the dot is only a ring, for what counts less.
        color: 1 to 6.
    """

    name: str
    value: float | None
    text: str
    low: float | None = None
    high: float | None = None
    hollow: bool = False
    color: int = 1


def dot_rows(dots: Sequence[Dot], axis: Axis, *, label: str, zero: float | None = None) -> Markup:
    """Returns the rows and their axis.

    Args:
        dots: from top to bottom.
        axis: of all of them.
        label: what they show, for those who hear it.
        zero: where a line crosses all rows.
    """
    rows = Markup("").join(_row(each, axis, zero) for each in dots)
    known = axis.ticks()
    ticks = Markup("").join(
        x_tick(axis.share(value), text) for value, text in known[:: -(-len(known) // _TICKS) or 1]
    )
    return Markup(
        '<div class="rows" role="list" aria-label="{}">{}</div>'
        '<div class="row scale" aria-hidden="true"><span></span><svg>{}{}</svg><span></span></div>'
    ).format(label, rows, ticks, x_label(axis.label))


def _row(dot: Dot, axis: Axis, zero: float | None) -> Markup:
    marks = [Markup('<line x1="0" x2="100%" y1="50%" y2="50%" class="rule"/>')]
    if zero is not None:
        place = percent(axis.share(zero))
        marks.append(Markup('<line x1="{0}" x2="{0}" y1="0" y2="100%" class="zero"/>').format(place))
    if dot.low is not None and dot.high is not None:
        marks.append(
            Markup('<line x1="{}" x2="{}" y1="50%" y2="50%" class="interval i{}"/>').format(
                percent(axis.share(dot.low)), percent(axis.share(dot.high)), dot.color
            )
        )
    if dot.value is not None:
        marks.append(
            Markup('<circle cx="{}" cy="50%" r="5" class="{}"/>').format(
                percent(axis.share(dot.value)), f"ring i{dot.color}" if dot.hollow else f"f{dot.color}"
            )
        )
    return Markup(
        '<div class="row" role="listitem"><span class="name">{}</span><svg aria-hidden="true">{}</svg>'
        '<span class="figures">{}</span></div>'
    ).format(dot.name, Markup("").join(marks), dot.text)
