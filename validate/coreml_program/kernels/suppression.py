"""The kernel non_maximum_suppression, in the layouts of iOS15 and of iOS17."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def non_maximum_suppression(
    boxes: Array,
    scores: Array,
    iou_threshold: Any,
    max_boxes: Any,
    score_threshold: Any = None,
    per_class_suppression: bool = False,
    *,
    op: Any,
) -> tuple[Array, ...]:
    """Boxes, scores, indices (and on iOS15 counts) of the best boxes that overlap no better one.

    iOS15: boxes [n, B, 4] as centre and size, scores [n, B, K]. iOS17: [n, 4, B] and [n, K, B], and
    no `score_threshold`. A box's score and class are the maximum over the classes and its place.
    Where no box passes the score, the best one is given. Free places hold index -1 and zeros.
    """
    last = len(op.output_types) == 3
    corners = boxes.swapaxes(1, 2) if last else boxes
    classes = scores.swapaxes(1, 2) if last else scores
    batch, limit = len(boxes), int(max_boxes)
    found = np.full((batch, limit), -1, dtype=np.int32)
    for row, box, score in zip(found, corners, classes, strict=True):
        chosen = _keep(box, score, float(iou_threshold), score_threshold, limit, bool(per_class_suppression))
        row[: len(chosen)] = chosen
    taken = (found >= 0)[..., None]
    kept = [
        np.where(taken, np.take_along_axis(each, np.maximum(found, 0)[..., None], axis=1), 0)
        for each in (corners, classes)
    ]
    if last:
        return kept[0].swapaxes(1, 2), kept[1].swapaxes(1, 2), found
    return kept[0], kept[1], found, taken.sum(axis=(1, 2), dtype=np.int32)


def _keep(
    boxes: Array, scores: Array, iou_threshold: float, score_threshold: Any, limit: int, per_class: bool
) -> list[int]:
    """The places of the boxes that stay, the best first."""
    best = scores.max(axis=-1)
    kinds = scores.argmax(axis=-1)
    kept: list[int] = []
    for place in np.argsort(-best, kind="stable"):
        if len(kept) == limit or (score_threshold is not None and best[place] < score_threshold):
            break
        rivals = [each for each in kept if not per_class or kinds[each] == kinds[place]]
        if not rivals or _overlap(boxes[place], boxes[rivals]).max() <= iou_threshold:
            kept.append(int(place))
    return kept or [int(best.argmax())][:limit]


def _overlap(box: Array, others: Array) -> Array:
    """Intersection over union of `box` (centre, size) with each of `others`; 0 where there is no area."""
    low = np.maximum(box[:2] - box[2:] / 2, others[:, :2] - others[:, 2:] / 2)
    high = np.minimum(box[:2] + box[2:] / 2, others[:, :2] + others[:, 2:] / 2)
    shared = np.maximum(high - low, 0).prod(axis=1)
    union = box[2:].prod() + others[:, 2:].prod(axis=1) - shared
    ratio: Array = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return ratio


KERNELS: dict[str, Callable[..., Any]] = {"non_maximum_suppression": non_maximum_suppression}
