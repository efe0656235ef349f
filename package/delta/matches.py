"""Bytes of a file that an older one holds, too: what is left in place, what moved, what is new.

Eight bytes at every fourth place of the older file are looked up at every place of the newer, and what is
equal is grown to both sides. Both are taken window by window, so memory does not follow the files.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pocketrec.package.delta.varints import Bytes, Whole

_SEED = 8  # bytes that are looked up
_STEP = 4  # places of the older file that are known
_LEAST = 12  # bytes that are worth a copy
_WINDOW = 1 << 20  # bytes of the newer file that are looked up at once
_AROUND = 2 << 20  # bytes of the older file to each side of where they are expected, at most
_NEAR, _TIMES = 1 << 14, 64  # so many, and for each byte that is looked up so many more
_CHUNK = 1 << 20


class Match(NamedTuple):
    """New bytes, and then older ones.

    Attributes:
        start: where the new bytes begin in the newer file.
        literal: how many there are.
        source: where the older ones begin in the older file.
        size: how many there are.
    """

    start: int
    literal: int
    source: int
    size: int


def equal_ahead(old: Bytes, source: int, new: Bytes, start: int, most: int) -> int:
    """How many bytes from there on are equal, at most so many."""
    most, done, chunk = min(most, len(old) - source, len(new) - start), 0, 64
    while done < most:
        size = min(chunk, most - done)
        one, other = old[source + done :][:size], new[start + done :][:size]
        if not np.array_equal(one, other):
            return done + int(np.argmax(one != other))
        done, chunk = done + size, min(2 * chunk, _CHUNK)
    return max(0, most)


def _equal_behind(old: Bytes, source: int, new: Bytes, start: int, most: int) -> int:
    """How many bytes before there are equal, at most so many."""
    most = min(most, source, start)
    differs = np.flatnonzero(old[source - most : source] != new[start - most : start])
    return most - 1 - int(differs[-1]) if len(differs) else most


def matches(old: Bytes, new: Bytes, start: int, end: int, expected: int) -> Iterator[Match]:
    """What gives the newer file from `start` to `end`, in turns.

    Args:
        old: the older file.
        new: the newer file.
        start: of what is wanted.
        end: of it.
        expected: where in the older file it probably is.
    """
    at, shift = start, expected - start
    while at < end:
        same = equal_ahead(old, at + shift, new, at, end - at) if 0 <= at + shift < len(old) else 0
        if same >= min(_LEAST, end - at):
            yield Match(at, 0, at + shift, same)
            at += same
            continue
        stop = min(end, at + _WINDOW)
        for each in _window(old, new, at, stop, end, shift):
            yield each
            at = each.start + each.literal + each.size
            shift = each.source + each.size - at if each.size else shift


def _window(old: Bytes, new: Bytes, start: int, stop: int, end: int, shift: int) -> Iterator[Match]:
    """The same for what begins in one window; the last copy may end beyond it."""
    around = min(_AROUND, _NEAR + _TIMES * (stop - start))
    centre = min(max(0, start + shift), len(old))
    low, high = max(0, centre - around), min(len(old), centre + stop - start + around)
    places, sources = _found(old[low:high] if high > low else old[:0], new[start:stop])
    at, next_place = start, 0
    while next_place < len(places):
        place, source = start + int(places[next_place]), low + int(sources[next_place])
        if 0 <= place + shift <= len(old) - _SEED and np.array_equal(
            old[place + shift :][:_SEED], new[place:][:_SEED]
        ):
            source = place + shift
        back = _equal_behind(old, source, new, place, min(place - at, 4096))
        ahead = equal_ahead(old, source, new, place, end - place)
        if back + ahead < _LEAST:
            next_place += 1
            continue
        yield Match(at, place - back - at, source - back, back + ahead)
        at, shift = place + ahead, source - place
        next_place = int(np.searchsorted(places, at - start))
    if at < stop:
        yield Match(at, stop - at, 0, 0)


def _found(old: Bytes, new: Bytes) -> tuple[Whole, Whole]:
    """Places of the newer bytes whose next eight stand in the older, and where."""
    if min(len(old), len(new)) < _SEED:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    known, where = np.unique(_seeds(old)[::_STEP], return_index=True)
    asked = _seeds(new)
    at = np.minimum(np.searchsorted(known, asked), len(known) - 1)
    places = np.flatnonzero(known[at] == asked)
    return places, where[at[places]] * _STEP


def _seeds(data: Bytes) -> npt.NDArray[np.uint64]:
    """The eight bytes from every place on, as numbers."""
    found = np.zeros(len(data) - _SEED + 1, np.uint64)
    for place in range(_SEED):
        found |= data[place : place + len(found)].astype(np.uint64) << np.uint64(8 * place)
    return found
