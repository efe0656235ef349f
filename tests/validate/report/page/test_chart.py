"""Charts put every number where its axis has it, and text from models cannot become markup."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from pocketrec.validate.report.page.chart import Axis, Chart, axis_around


def drawn(chart: Chart, kind: str) -> list[dict[str, str]]:
    return [each.attrib for each in ElementTree.fromstring(f"<div>{chart.svg()}</div>").iter(kind)]


def empty(**x: object) -> Chart:
    y = Axis(label="y", low=0, high=4)
    return Chart(x=Axis(**{"label": "x", "low": 0, "high": 10, **x}), y=y, label="all")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("scale", "low", "high", "value", "share"),
    [
        ("linear", 0, 10, 2.5, 0.25),
        ("linear", 4, 0, 1, 0.75),
        ("log", 0.1, 1000, 10, 0.5),
        ("counts", 0, 99, 9, 0.5),
        ("counts", 0, 99, 0, 0.0),
    ],
)
def test_a_value_stands_where_its_scale_has_it(
    scale: str, low: float, high: float, value: float, share: float
) -> None:
    axis = Axis(label="", low=low, high=high, scale=scale)  # type: ignore[arg-type]
    assert axis.share(value) == pytest.approx(share)


@pytest.mark.parametrize(
    ("axis", "texts"),
    [
        (Axis(label="", low=0, high=1), ["0", "0.2", "0.4", "0.6", "0.8", "1"]),
        (Axis(label="", low=-12, high=3), ["-10", "-5", "0"]),
        (Axis(label="", low=0.3, high=4, scale="log"), ["0.5", "1", "2"]),
        (Axis(label="", low=1e-3, high=1e4, scale="log"), ["0.001", "0.1", "10", "1000"]),
        (Axis(label="", low=0, high=250, scale="counts"), ["0", "10", "100"]),
        (Axis(label="", low=2, high=0, names=("a", "b")), ["a", "b"]),
    ],
)
def test_ticks_are_round_numbers_within_the_axis(axis: Axis, texts: list[str]) -> None:
    assert [text for _, text in axis.ticks()] == texts


def test_an_axis_around_one_value_has_room_on_both_sides() -> None:
    assert axis_around("", [3.0]).share(3.0) == pytest.approx(0.5)
    assert axis_around("", [3.0, 3.0], "log").share(3.0) == pytest.approx(0.5)
    assert axis_around("", [1.0, 9.0]).share(9.0) == 1


def test_a_bar_covers_its_part_of_both_axes() -> None:
    chart = empty()
    chart.bar(0, 5, 0, 4, 1)
    chart.bar(0, 10, 0, 1, 2)
    half, quarter = drawn(chart, "rect")
    assert (half["x"], half["width"], half["y"], half["height"]) == ("0.00%", "50.00%", "0.00%", "100.00%")
    assert (quarter["width"], quarter["y"], quarter["height"]) == ("100.00%", "75.00%", "25.00%")


def test_steps_keep_a_height_up_to_the_next_point() -> None:
    chart = empty(high=2)
    chart.steps([(0, 0), (1, 2), (2, 4)], 3, "onnx")
    (line,) = [each for each in drawn(chart, "path") if each["class"] == "line s3"]
    assert line["d"] == "M0 1000H500V500H1000V0"
    assert "onnx" in chart.svg()


def test_names_are_text_whatever_they_hold() -> None:
    chart = Chart(
        x=Axis(label="a & b", low=0, high=1),
        y=Axis(label="", low=1, high=0, names=("<script>$x",)),
        label='"><script>',
    )
    chart.dot(0.5, 0.5, 1, "</svg>", large=True)
    texts = [each.text for each in ElementTree.fromstring(f"<div>{chart.svg()}</div>").iter("text")]
    assert {"<script>$x", "a & b", "</svg>"} <= set(texts)
    assert chart.svg() == chart.svg()
