"""Non-maximum suppression: cases small enough to follow by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from pocketrec.validate.coreml_program.kernels.suppression import non_maximum_suppression


def floats(values: Any) -> Any:
    return np.array(values, dtype=np.float32)


OLD = SimpleNamespace(output_types=(None,) * 4)
NEW = SimpleNamespace(output_types=(None,) * 3)
# Two boxes that nearly coincide, and one far away.
BOXES = floats([[[0, 0, 2, 2], [0.1, 0, 2, 2], [9, 9, 2, 2]]])
SCORES = floats([[[0.9, 0], [0.1, 0.8], [0.3, 0]]])


def run(op: Any = OLD, threshold: Any = 0.5, **inputs: Any) -> Any:
    boxes, scores = (each.swapaxes(1, 2) if op is NEW else each for each in (BOXES, SCORES))
    limit = {} if op is NEW else {"score_threshold": inputs.pop("score", 0.0)}
    return non_maximum_suppression(boxes, scores, threshold, inputs.pop("most", 3), **limit, **inputs, op=op)


def test_the_better_of_two_overlapping_boxes_stays() -> None:
    """Free places hold index -1 and zeros, and the count says how many are taken."""
    boxes, scores, places, counts = run()
    np.testing.assert_array_equal(places, [[0, 2, -1]])
    np.testing.assert_array_equal(counts, [2])
    np.testing.assert_array_equal(boxes[0], [*BOXES[0, [0, 2]], [0, 0, 0, 0]])
    np.testing.assert_array_equal(scores[0], [*SCORES[0, [0, 2]], [0, 0]])


def test_classes_do_not_suppress_each_other_when_each_is_for_itself() -> None:
    """The second box's best class is another one than the first's."""
    np.testing.assert_array_equal(run(per_class_suppression=True)[2], [[0, 1, 2]])


def test_thresholds_and_the_limit_bound_what_stays() -> None:
    """A tolerant overlap keeps all, a high score few, and a limit the best; one box always stays."""
    np.testing.assert_array_equal(run(threshold=0.99)[2], [[0, 1, 2]])
    np.testing.assert_array_equal(run(score=0.5)[2], [[0, -1, -1]])
    np.testing.assert_array_equal(run(score=2.0)[2], [[0, -1, -1]])
    np.testing.assert_array_equal(run(most=1)[2], [[0]])


def test_the_newer_layout_has_boxes_last_and_no_count() -> None:
    """iOS17 gives the same boxes, turned."""
    boxes, scores, places = run(NEW)
    assert boxes.shape == (1, 4, 3)
    assert scores.shape == (1, 2, 3)
    np.testing.assert_array_equal(places, run()[2])
    np.testing.assert_array_equal(boxes.swapaxes(1, 2), run()[0])
