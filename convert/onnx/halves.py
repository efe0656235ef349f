"""The numbers of float16 by their bits, for engines that have no float16: exact, subnormal ones too.

    value = (leading[bits // 1024] + bits % 1024) * exponents[bits // 1024]

The upper six bits are sign and exponent. The sum is a whole number below 2048 and the factor a power of
two, so float32 rounds neither. NaN, which no compressed tensor holds, would come out as infinity.
"""

from __future__ import annotations

import numpy as np

STEP = 1 << 10
_POWERS = np.maximum(np.arange(32), 1).astype(np.float32) - 25  # subnormal numbers have the first one's
_PLUS = np.where(np.arange(32) < 31, np.exp2(_POWERS), np.inf).astype(np.float32)
EXPONENTS = np.concatenate([_PLUS, -_PLUS])
LEADING = np.where(np.arange(64) % 32, STEP, 0).astype(np.float32)
