"""The numbers of float16 by their bytes, for engines that have no float16: exact, subnormal ones too.

    value = highest[upper] + lower * steps[upper]        upper, lower: the bytes of the bits

The upper byte is sign, exponent and the first two bits of the fraction. Both terms are whole multiples,
below 2048, of one power of two, so float32 rounds neither them nor their sum. NaN, which no compressed
tensor holds, would not come out as NaN. A bytes' lookup has a kernel everywhere; one of 16 bits has not.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.source.stubs import Stub

Array = npt.NDArray[Any]
FEW = 320  # numbers, whose other two bytes are fewer than those of the nodes that would join them
_FIRST = (np.arange(256, dtype=np.uint16) << 8).view(np.float16).astype(np.float32)
_POWERS = np.maximum(np.arange(256) >> 2 & 31, 1) - 25.0  # subnormal numbers have the first one's
_SIGNS = np.where(np.arange(256) < 128, 1, -1)
HIGHEST = np.where(np.isnan(_FIRST), np.inf * _SIGNS, _FIRST).astype(np.float32)
STEPS = (np.exp2(_POWERS) * _SIGNS).astype(np.float32)


def upper(halves: Array) -> Array:
    """Sign, exponent and two bits of every float16, uint8."""
    return _bytes(halves, "upper", 8)


def lower(halves: Array) -> Array:
    """The last eight bits of every float16, uint8."""
    return _bytes(halves, "lower", 0)


def _bytes(halves: Array, key: str, shift: int) -> Array:
    if isinstance(halves, Stub):
        return halves.mapped(key, lambda rows: _bytes(rows, key, shift), halves.shape)
    cut: Array = (np.ascontiguousarray(halves).view(np.uint16) >> shift & 255).astype(np.uint8)
    return cut
