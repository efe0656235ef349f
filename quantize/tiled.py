"""Products whose sums do not depend on how many rows come at once."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]

TILE_ROWS = 1024  # of every product: how a library sums depends on the size


def tiled(rows: Floats, matrix: npt.NDArray[Any]) -> Floats:
    """`rows @ matrix`, float32 `[n, columns of the matrix]`, in products of one size."""
    tiles = max(1, -(-len(rows) // TILE_ROWS))  # one where there are no rows, which is cut away
    padded = np.zeros((tiles * TILE_ROWS, rows.shape[1]), np.float32)
    padded[: len(rows)] = rows
    parts = [padded[at : at + TILE_ROWS] @ matrix for at in range(0, len(padded), TILE_ROWS)]
    dense: Floats = np.concatenate(parts)[: len(rows)]
    return dense
