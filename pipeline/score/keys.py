"""Whether every user has a key of its own, in memory that does not grow with them.

Keys are told apart by 64-bit numbers, of which one pass holds those of a share of all; what two rows have in
common is then looked up itself, as texts that differ may have one number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import DataError

Numbers = npt.NDArray[np.uint64]
Columns = Callable[[], Iterator[tuple[int, Any]]]  # the first row and the keys of each batch

_PASS = 1 << 22  # keys of which one pass holds the numbers: 32 MiB
_ODD = np.uint64(0x9E3779B97F4A7C15)


def check_keys(columns: Columns, rows: int, where: Callable[[int], str], name: str) -> None:
    """Checks that no key stands in two rows.

    Args:
        columns: gives all keys, as often as it is called.
        rows: how many there are.
        where: a row as messages call it.
        name: of the column.

    Raises:
        DataError: names both rows and the key.
    """
    passes = -(-rows // _PASS)
    for number in range(passes):
        parts = [found for _, keys in columns() if len(found := _share(numbers_of(keys), number, passes))]
        held = np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.uint64)
        twice = np.unique(held[1:][held[1:] == held[:-1]])
        if len(twice):
            _look(columns, twice, where, name)


def _share(numbers: Numbers, number: int, passes: int) -> Numbers:
    return numbers if passes == 1 else numbers[numbers % np.uint64(passes) == number]


def _look(columns: Columns, twice: Numbers, where: Callable[[int], str], name: str) -> None:
    """Raises for the first key that stands in two rows, among those with such a number."""
    seen: dict[object, int] = {}
    for first, keys in columns():
        for place in np.flatnonzero(np.isin(numbers_of(keys), twice)).tolist():
            key = keys[place].as_py()
            if key in seen:
                raise DataError(
                    f"{where(first + place)}, column {name!r} holds {key!r}, which {where(seen[key])} has, "
                    "too; expected a row for each user"
                )
            seen[key] = first + place


def numbers_of(keys: Any) -> Numbers:
    """A 64-bit number for each key: equal keys have equal ones."""
    import pyarrow as pa

    if pa.types.is_integer(keys.type):
        found = np.asarray(keys).astype(np.int64 if pa.types.is_signed_integer(keys.type) else np.uint64)
        return _mixed(found.view(np.uint64))
    texts = keys.cast(pa.large_string())
    ends = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    data = texts.buffers()[2]
    octets = np.frombuffer(data or b"", np.uint8)[ends[0] : ends[-1]].astype(np.uint64)
    lengths = np.diff(ends)
    places = np.arange(len(octets), dtype=np.int64) - np.repeat(ends[:-1] - ends[0], lengths)
    weighed = _mixed(octets + np.uint64(1) + (places.astype(np.uint64) << np.uint64(8)))
    sums = np.concatenate([[np.uint64(0)], np.cumsum(weighed, dtype=np.uint64)])
    bounds = ends - ends[0]
    return _mixed(sums[bounds[1:]] - sums[bounds[:-1]] + lengths.astype(np.uint64))


def _mixed(numbers: Numbers) -> Numbers:
    """The numbers, mixed by the finalizer of SplitMix64 (Steele, Lea and Flood, 2014)."""
    with np.errstate(over="ignore"):
        found = numbers + _ODD
        found = (found ^ (found >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        found = (found ^ (found >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return found ^ (found >> np.uint64(31))
