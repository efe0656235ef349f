"""Constants that repeat themselves: a weight that was expanded over a batch, a mask of one number."""

from __future__ import annotations

from typing import Any

import numpy as np

from pocketrec.source.stubs import Stub

_SMALLEST_SHRUNK = 64  # numbers: what the blob file aligns to, and more than the graph takes for them


def repeated_axes(value: Any) -> list[int]:
    """The axes along which a large array repeats the same numbers; none of a stub, or of one number."""
    if not isinstance(value, np.ndarray) or isinstance(value, Stub) or value.size < _SMALLEST_SHRUNK:
        return []
    return [
        axis
        for axis, size in enumerate(value.shape)
        if size > 1 and bool((value == value.take([0], axis=axis)).all())
    ]
