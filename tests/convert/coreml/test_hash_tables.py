"""A hash that no 32 bits hold is a table over the ids of its vocabulary, with the same buckets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.coreml import hash_tables
from pocketrec.errors import Refused

IDS = torch.tensor([[1, 7, 999, 0], [5, 500, 123, 998]])
BUCKETS = 17


def fibonacci(ids: Tensor) -> Tensor:
    """The upper bits of a product that wraps at 2^32."""
    return ((ids * 0x9E3779B1) & 0xFFFFFFFF) >> 20


def mixed(ids: Tensor) -> Tensor:
    """A finalizer of multiplications and shifts."""
    first = (((ids >> 4) ^ ids) * 0x45D9F3B) & 0xFFFFFFFF
    return (first >> 16) ^ first


class Hashed(nn.Module):
    """An item by its bucket, and by its id where `bounded`."""

    def __init__(self, function: Callable[[Tensor], Tensor], *, bounded: bool = True) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.buckets, self.items = nn.Embedding(BUCKETS, 4), nn.Embedding(1000, 4)
        self.function, self.bounded = function, bounded

    def forward(self, ids: Tensor) -> Tensor:
        bucket: Tensor = self.buckets(self.function(ids) % BUCKETS)
        return bucket + self.items(ids) if self.bounded else bucket


@pytest.mark.parametrize("function", [fibonacci, mixed])
def test_both_targets_find_the_same_buckets(function: Callable[[Tensor], Tensor], tmp_path: Path) -> None:
    found = pocketrec.convert_module(Hashed(function).eval(), (IDS,), tmp_path / "out")
    assert found.refused == {}


def test_ids_without_a_vocabulary_are_refused_for_core_ml(tmp_path: Path) -> None:
    module = Hashed(fibonacci, bounded=False).eval()
    with pytest.raises(Refused, match=r"test_hash_tables\.py:\d+: .*does not fit in Core ML's int32"):
        pocketrec.convert_module(module, (IDS,), tmp_path / "out", targets=("coreml",))


def test_a_wrong_table_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def shifted(*args: object) -> object:
        table = make(*args)  # type: ignore[arg-type]
        assert table is not None
        return hash_tables.HashTable(
            source=table.source, lowest=table.lowest, values=(table.values + 1) % BUCKETS
        )

    make = hash_tables._table
    monkeypatch.setattr(hash_tables, "_table", shifted)
    with pytest.raises(Refused, match="differs from the module"):
        pocketrec.convert_module(Hashed(mixed).eval(), (IDS,), tmp_path / "out", targets=("coreml",))
