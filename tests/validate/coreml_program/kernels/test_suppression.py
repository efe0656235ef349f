"""Non-maximum suppression: cases small enough to follow by hand."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

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


def overlap(a: Any, b: Any) -> float:
    """Intersection over union of two boxes, pixel arithmetic spelt out."""
    low, high = (
        op(a[:2] + sign * a[2:] / 2, b[:2] + sign * b[2:] / 2)
        for op, sign in ((np.maximum, -1), (np.minimum, 1))
    )
    shared = float(np.prod(np.maximum(high - low, 0)))
    return shared / float(np.prod(a[2:]) + np.prod(b[2:]) - shared)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 9999), st.integers(1, 12), st.sampled_from([0.1, 0.4, 0.8]))
def test_boxes_that_stay_are_apart_and_boxes_that_go_overlap_a_better_one(
    seed: int, count: int, threshold: float
) -> None:
    """The two properties that define the greedy choice, for random boxes."""
    rng = np.random.default_rng(seed)
    boxes = np.concatenate([rng.uniform(0, 4, (1, count, 2)), rng.uniform(1, 3, (1, count, 2))], axis=2)
    scores = rng.permutation(count).astype(np.float32).reshape(1, count, 1) + 1
    _, _, found, counts = non_maximum_suppression(boxes, scores, threshold, count, 0.0, op=OLD)
    kept = [int(place) for place in found[0] if place >= 0]
    assert counts[0] == len(kept)
    assert [scores[0, place, 0] for place in kept] == sorted((scores[0, kept, 0]), reverse=True)
    apart = [overlap(boxes[0, a], boxes[0, b]) <= threshold for a in kept for b in kept if a < b]
    assert all(apart)
    for place in set(range(count)) - set(kept):
        better = [each for each in kept if scores[0, each, 0] > scores[0, place, 0]]
        assert any(overlap(boxes[0, place], boxes[0, each]) > threshold for each in better)
