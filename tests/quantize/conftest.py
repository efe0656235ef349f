"""Tables that look like those of a recommender: rows of different length, row 0 for padding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

Floats = npt.NDArray[np.float32]
MakeTable = Callable[..., Floats]


@pytest.fixture
def make_table() -> MakeTable:
    def make(rows: int, columns: int, *, padding: bool = True, seed: int = 0) -> Floats:
        rng = np.random.default_rng(seed)
        length = rng.lognormal(-1, 0.8, (rows, 1))
        table = (rng.standard_normal((rows, columns)) * length + 0.05).astype(np.float32)
        if padding:
            table[0] = 0
        return table

    return make
