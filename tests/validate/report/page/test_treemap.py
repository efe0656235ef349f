"""Areas of a treemap are weights, rectangles fill it without overlap, and names are text."""

from __future__ import annotations

import pytest

from pocketrec.validate.report.page.treemap import Tile, squarified, treemap


@pytest.mark.parametrize(
    "weights", [[6, 6, 4, 3, 2, 2, 1], [1], [5, 5], [1e9, 1, 1e-3], list(range(90, 0, -1))]
)
def test_areas_are_shares_of_the_weight_and_fill_the_whole(weights: list[float]) -> None:
    boxes = squarified(weights)
    total = sum(weights)
    for weight, box in zip(weights, boxes, strict=True):
        assert box.width * box.height == pytest.approx(weight / total)
        assert -1e-9 <= box.left <= box.left + box.width <= 1 + 1e-9
        assert -1e-9 <= box.top <= box.top + box.height <= 1 + 1e-9


def test_rectangles_do_not_overlap() -> None:
    boxes = squarified([6, 6, 4, 3, 2, 2, 1])
    for place, one in enumerate(boxes):
        for other in boxes[place + 1 :]:
            wide = min(one.left + one.width, other.left + other.width) - max(one.left, other.left)
            high = min(one.top + one.height, other.top + other.height) - max(one.top, other.top)
            assert wide <= 1e-9 or high <= 1e-9


def test_the_first_row_is_that_of_the_paper() -> None:
    """Of 6, 6, 4, 3, 2, 2, 1 on 6 by 4 the first column holds both sixes."""
    first, second, third, *_ = squarified([6, 6, 4, 3, 2, 2, 1])
    assert first.left == second.left == 0
    assert third.left == pytest.approx(0.5)


def test_a_name_is_text_and_what_weighs_nothing_is_left_out() -> None:
    tiles = [Tile(name='"><script>', weight=3, text="3 B", group=1), Tile(name="zero", weight=0, text="0 B")]
    shown = treemap(tiles, label="</div>", groups=("<i>",))
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "zero" not in shown
    assert shown.count("</div>") == 2
    assert "<i>" not in shown


def test_nothing_gives_nothing() -> None:
    assert squarified([]) == []
