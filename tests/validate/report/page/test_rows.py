"""A dot plot puts dots and intervals where the axis has them, and holds what lies outside at its ends."""

from __future__ import annotations

from xml.etree import ElementTree

from pocketrec.validate.report.page.chart import Axis
from pocketrec.validate.report.page.rows import Dot, dot_rows

AXIS = Axis(label="change", low=-1, high=1)


def parts(dot: Dot, kind: str) -> list[dict[str, str]]:
    tree = ElementTree.fromstring(f"<div>{dot_rows([dot], AXIS, label='x', zero=0.0)}</div>")
    return [each.attrib for each in tree.iter(kind)]


def test_dot_interval_and_zero_stand_on_one_axis() -> None:
    dot = Dot(name="<b>", value=0.5, low=-0.5, high=1.0, text="+0.5")
    (circle,) = parts(dot, "circle")
    assert circle["cx"] == "75.00%"
    lines = {each["class"]: (each["x1"], each["x2"]) for each in parts(dot, "line")}
    assert lines["interval i1"] == ("25.00%", "100.00%")
    assert lines["zero"] == ("50.00%", "50.00%")


def test_what_is_outside_is_held_at_the_end_and_what_is_nowhere_has_no_dot() -> None:
    assert parts(Dot(name="a", value=7.0, text=""), "circle")[0]["cx"] == "100.00%"
    assert parts(Dot(name="a", value=None, text="failed"), "circle") == []


def test_what_counts_less_is_a_ring() -> None:
    assert parts(Dot(name="a", value=0.0, text="", hollow=True, color=2), "circle")[0]["class"] == "ring i2"
