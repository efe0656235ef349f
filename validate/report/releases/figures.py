"""Small figures that stand in a table's cells: an interval around a change, a share as a bar."""

from __future__ import annotations

from markupsafe import Markup

from pocketrec.validate.report.page.chart import Axis

_WIDTH, _HEIGHT, _EDGE = 180, 22, 6  # pixels
_INNER = _WIDTH - 2 * _EDGE


def axis_with(values: list[float], middle: float) -> Axis:
    """An axis with the values and the middle on it; never of no width."""
    low, high = min([middle, *values]), max([middle, *values])
    return Axis(label="", low=low, high=high) if low < high else Axis(label="", low=low - 1, high=high + 1)


def interval_figure(
    point: float,
    low: float | None,
    high: float | None,
    *,
    axis: Axis,
    middle: float,
    says: str,
) -> Markup:
    """Returns a dot with its interval as a line, and a rule where nothing has changed.

    Args:
        point: the value.
        low: the interval's end; None where there is none.
        high: its other end.
        axis: what the figure's edges stand for.
        middle: where nothing has changed.
        says: the same in words, for those who hear it.
    """
    ends = Markup()
    if low is not None and high is not None:
        ends = Markup('<line class="line sg" x1="{}" x2="{}" y1="11" y2="11"/>').format(
            _place(low, axis), _place(high, axis)
        )
    return _svg(
        says,
        Markup('<line class="zero" x1="{0}" x2="{0}" y1="2" y2="20"/>').format(_place(middle, axis)),
        ends,
        Markup('<circle class="f1" cx="{}" cy="11" r="4"/>').format(_place(point, axis)),
    )


def bar_figure(share: float, says: str) -> Markup:
    """Returns a bar as long as the share of the cell's width."""
    width = f"{max(0.0, min(1.0, share)) * _INNER:.1f}"
    return _svg(says, Markup('<rect class="f2" x="{}" y="5" width="{}" height="12"/>').format(_EDGE, width))


def _place(value: float, axis: Axis) -> str:
    return f"{_EDGE + axis.share(value) * _INNER:.1f}"


def _svg(says: str, *marks: Markup) -> Markup:
    return Markup(
        '<svg width="{0}" height="{1}" viewBox="0 0 {0} {1}" role="img" aria-label="{2}">{3}</svg>'
    ).format(_WIDTH, _HEIGHT, says, Markup("").join(marks))
