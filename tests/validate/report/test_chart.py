"""Charts put every number where its axis has it, and text from models cannot become markup."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from pocketrec.validate.report.chart import Axis, Chart, axis_around

NAMES = "{http://www.w3.org/2000/svg}"


def drawn(chart: Chart, kind: str) -> list[dict[str, str]]:
    return [each.attrib for each in ElementTree.fromstring(chart.svg()).iter(f"{NAMES}{kind}")]


def empty(**x: object) -> Chart:
    y = Axis(label="y", low=0, high=4)
    return Chart(x=Axis(**{"label": "x", "low": 0, "high": 10, **x}), y=y, height=152)  # type: ignore[arg-type]


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
        (Axis(label="", low=1e-3, high=1e4, scale="log"), [f"{10.0**each:g}" for each in range(-3, 5)]),
        (Axis(label="", low=0, high=250, scale="counts"), ["0", "1", "10", "100"]),
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
    chart.bar(0, 5, 0, 4, "red")
    chart.bar(0, 10, 0, 1, "red")
    half, quarter = drawn(chart, "rect")
    assert float(half["width"]) == pytest.approx(float(quarter["width"]) / 2, abs=0.1)
    assert float(half["height"]) == pytest.approx(100)  # all between the axes
    assert float(quarter["height"]) == pytest.approx(25)
    assert float(quarter["y"]) + 25 == pytest.approx(float(half["y"]) + 100)


def test_steps_keep_a_height_up_to_the_next_point() -> None:
    chart = empty(high=2)
    chart.steps([(0, 0), (1, 2), (2, 4)], "red", "onnx")
    line = next(each["d"] for each in drawn(chart, "path") if each.get("stroke") == "red")
    start, *moves = line.removeprefix("M").replace("V", " ").split("H")
    assert [each.split(" ")[1] for each in moves] == ["60.0", "10.0"], "the middle, then the top"
    assert start.split(" ")[1] == "110.0"
    assert "onnx" in chart.svg()


def test_names_are_text_whatever_they_hold() -> None:
    chart = Chart(
        x=Axis(label="a & b", low=0, high=1),
        y=Axis(label="", low=1, high=0, names=("<script>$x",)),
        height=80,
    )
    chart.dot(0.5, 0.5, "red", "</svg>")
    texts = [each.text for each in ElementTree.fromstring(chart.svg()).iter(f"{NAMES}text")]
    assert {"<script>$x", "a & b", "</svg>"} <= set(texts)
    assert chart.svg() == chart.svg()
