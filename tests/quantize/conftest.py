"""Tables that look like those of a recommender: rows of different length, row 0 for padding."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pocketrec.quantize.feedback import output_noise
from pocketrec.quantize.schemes import Scheme
from pocketrec.quantize.tensor import Array, Floats
from pocketrec.quantize.usage import Usage

MakeTable = Callable[..., Floats]
COLUMNS = 16


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


@pytest.fixture
def moment() -> Array:
    """Of outputs that mix all columns, some of them far more than others."""
    mixing = np.random.default_rng(1).normal(size=(COLUMNS, COLUMNS)) * np.geomspace(0.05, 1, COLUMNS)
    return mixing @ mixing.T


def noise(scheme: Scheme, table: Floats, usage: Usage, moment: Array) -> float:
    """How far the outputs move by what a scheme makes of a table."""
    return output_noise(moment, scheme.quantize("item.weight", table, usage=usage).dequantize() - table)
