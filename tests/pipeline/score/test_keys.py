"""A key that stands in two rows is found, however many passes it takes and whatever numbers collide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pocketrec.errors import DataError
from pocketrec.pipeline.score import keys as score_keys
from pocketrec.pipeline.score.keys import check_keys, numbers_of


def check(column: Any) -> None:
    def columns() -> Iterator[tuple[int, Any]]:
        for first in range(0, len(column), 7):
            yield first, column.slice(first, 7)

    check_keys(columns, len(column), lambda row: f"row {row}", "user")


KEYS = [
    pa.array([f"user {each}" for each in range(100)]),
    pa.array(["", "a", "aa", "ab", "ba", "é", "e\u0301", "\0", "a\0"]),
    pa.array([f"user {each}" for each in range(50)], pa.large_string()),
    pa.array(np.arange(-50, 50, dtype=np.int32)),
    pa.array([0, 2**64 - 1, 2**63], pa.uint64()),
]


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("size", [1 << 22, 10])
def test_keys_that_differ_pass_and_one_that_stands_twice_is_named_with_both_rows(
    keys: Any, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(score_keys, "_PASS", size)
    check(keys)
    twice = pa.concat_arrays([keys, keys.slice(1, 1)])
    with pytest.raises(DataError, match=f"row {len(keys)}, column 'user' holds .*, which row 1 has, too"):
        check(twice)


def test_keys_whose_numbers_are_one_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(score_keys, "numbers_of", lambda keys: np.zeros(len(keys), np.uint64))
    check(KEYS[0])
    with pytest.raises(DataError, match="row 2, column 'user' holds 'a', which row 0 has, too"):
        check(pa.array(["a", "b", "a"]))


def test_a_keys_number_does_not_depend_on_what_stands_before_it() -> None:
    keys = pa.array(["abc", "", "de", "abc"])
    found = numbers_of(keys)
    assert found[0] == found[3]
    assert len(set(found.tolist())) == 3
    assert numbers_of(keys.slice(2, 2)).tolist() == found[2:].tolist()
    many = numbers_of(pa.array([str(each) for each in range(100_000)]))
    assert len(np.unique(many)) == 100_000
