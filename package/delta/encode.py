"""The records of one file against an older one: the smallest way for each tensor, edits for the rest."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import gcd

import numpy as np

from pocketrec.package.delta.format import EDIT, LARGEST_ROWS, ROWS, deflate
from pocketrec.package.delta.layouts import Part
from pocketrec.package.delta.matches import Match, equal_ahead, matches
from pocketrec.package.delta.rows import DIFFERENCE, HALVES, REPLACE, STEPS, XOR, Mask, runs_of, to_payload
from pocketrec.package.delta.varints import Bytes, to_varint, to_varints

_LITERALS = 1 << 20  # bytes in one edit
_UNITS = (16, 32, 64, 128, 256, 512, 1024)  # bytes of a row, where nobody says how many
_GAP = 8  # numbers: runs that are no further apart are one, when rows are guessed from them


@dataclass(slots=True)
class _Edit:
    """Literal bytes and copies that wait to be one record."""

    new: Bytes
    turns: list[list[int]] = field(default_factory=list)  # literal's start, its size, copy's start, its size
    waiting: int = 0

    def literal(self, start: int, end: int) -> Iterator[bytes]:
        """Takes new bytes; gives the record that is full."""
        while start < end:
            size = min(end - start, _LITERALS - self.waiting)
            if self.turns and not self.turns[-1][3] and sum(self.turns[-1][:2]) == start:
                self.turns[-1][1] += size
            else:
                self.turns.append([start, size, 0, 0])
            self.waiting, start = self.waiting + size, start + size
            if self.waiting >= _LITERALS:
                yield from self.record()

    def copy(self, start: int, size: int) -> None:
        """Takes bytes of the older file."""
        if not size:
            return
        if self.turns and self.turns[-1][3] and sum(self.turns[-1][2:]) == start:
            self.turns[-1][3] += size
        elif self.turns and not self.turns[-1][3]:
            self.turns[-1][2:] = start, size
        else:
            self.turns.append([0, 0, start, size])

    def record(self) -> Iterator[bytes]:
        """The record of what was taken; none where nothing was."""
        if not self.turns:
            return
        table = np.array(self.turns, np.int64).reshape(-1, 4)
        ends = np.concatenate([[0], (table[:, 2] + table[:, 3])[:-1]])
        steps = np.where(table[:, 3] > 0, table[:, 2] - ends, -ends)
        numbers = np.concatenate([table[:, 1], table[:, 3], (steps << 1) ^ (steps >> 63)])
        literals = b"".join(self.new[start : start + size].tobytes() for start, size, _, _ in self.turns)
        yield bytes([EDIT]) + to_varint(len(table)) + _packed(to_varints(numbers) + literals)
        self.turns, self.waiting = [], 0


def _packed(payload: bytes) -> bytes:
    stored = deflate(payload)
    return to_varint(len(payload)) + to_varint(len(stored)) + stored


def records_of(
    old: Bytes, new: Bytes, old_parts: Sequence[Part], new_parts: Sequence[Part]
) -> Iterator[bytes]:
    """The records that give `new`, one at a time.

    Args:
        old: the older file; empty where there is none.
        new: the newer file.
        old_parts: where tensors lie in it, as `layouts.parts_of` says.
        new_parts: likewise; wrong ones make records larger, never wrong.
    """
    edit, at, before = _Edit(new), 0, 0
    known = {(each.name, each.width): each for each in old_parts}
    for part in new_parts:
        pair = known.get((part.name, part.width))
        if pair is None or part.start < at:
            continue
        yield from _between(old, edit, at, part.start, before)
        yield from _tensor(old, edit, pair, part)
        at, before = part.end, pair.end
    yield from _between(old, edit, at, len(new), before)
    yield from edit.record()


def whole(new: Bytes) -> Iterator[bytes]:
    """The records of a file that is not against another."""
    edit = _Edit(new)
    yield from edit.literal(0, len(new))
    yield from edit.record()


def _between(old: Bytes, edit: _Edit, start: int, end: int, expected: int) -> Iterator[bytes]:
    """Bytes of which nobody knows what they are."""
    for each in matches(old, edit.new, start, end, expected):
        yield from _matched(edit, each)


def _matched(edit: _Edit, match: Match) -> Iterator[bytes]:
    yield from edit.literal(match.start, match.start + match.literal)
    edit.copy(match.source, match.size)


def _tensor(old: Bytes, edit: _Edit, before: Part, part: Part) -> Iterator[bytes]:
    """A tensor against the one of its name: equal bytes, changed rows, and what was appended."""
    ways = _Ways(width=part.width)
    common = min(part.end - part.start, before.end - before.start) // ways.number * ways.number
    row = part.row if part.row <= LARGEST_ROWS and part.row % ways.number == 0 else 0
    at = 0
    while at < common:
        same = equal_ahead(old, before.start + at, edit.new, part.start + at, common - at)
        same = same // (row or ways.number) * (row or ways.number) if same < common - at else same
        edit.copy(before.start + at, same)
        at += same
        size = min(LARGEST_ROWS, common - at)
        if size:
            source, start = before.start + at, part.start + at
            row = row or _guessed(old[source : source + size], edit.new[start : start + size], ways.number)
            size = size // row * row or size
            yield from _changed(old, edit, source, start, size, row, ways)
            at += size
    yield from _between(old, edit, part.start + common, part.end, before.end)


@dataclass(slots=True)
class _Ways:
    """The ways of a tensor's changes: all are tried on the first rows that changed."""

    width: int
    best: tuple[int, int] | None = None
    moves: bool = True

    @property
    def number(self) -> int:
        """Bytes of a number."""
        return self.width or 1

    @property
    def candidates(self) -> list[tuple[int, int]]:
        """Changes and widths."""
        if self.best is not None:
            return [self.best]
        found = [(DIFFERENCE, self.width), (XOR, self.number), (REPLACE, self.number)]
        if self.width <= 1:
            found += [(STEPS, HALVES), (STEPS, self.width)]
        return [*found, (DIFFERENCE, HALVES)] if self.width == 1 else found


def _changed(
    old: Bytes, edit: _Edit, source: int, start: int, size: int, row: int, ways: _Ways
) -> Iterator[bytes]:
    """Rows that are not all equal, by the smallest of the ways."""
    was, new = old[source : source + size], edit.new[start : start + size]
    tried = []
    for unit, mask in _units(was, new, row, ways.number):
        for change, width in ways.candidates:
            payload = to_payload(was, new, unit, change, width, mask)
            tried.append((len(zlib.compress(payload, 1)), unit, change, width, payload))
    least, unit, change, width, payload = min(tried, key=lambda each: each[0])
    ways.best = ways.best or (change, width)
    if least > size // 2 and ways.moves:
        found = list(matches(old, edit.new, start, start + size, source))
        ways.moves = sum(each.literal for each in found) < least // 2
        if ways.moves:  # rows that moved
            for each in found:
                yield from _matched(edit, each)
            return
    record = _packed(payload)
    if len(record) > size:
        yield from edit.literal(start, start + size)
        return
    yield from edit.record()
    head = to_varint(source) + to_varint(unit) + to_varint(size // unit)
    yield bytes([ROWS]) + head + bytes([change, width]) + record


def _units(old: Bytes, new: Bytes, row: int, number: int) -> list[tuple[int, Mask]]:
    """Bytes of a row, with the rows that changed: the likeliest, and all bytes as one run."""
    differs = (old != new).reshape(-1, number).any(axis=1)
    options = []
    for unit in (each for each in (number, row, *_UNITS) if len(old) % each == 0 and each % number == 0):
        mask = differs.reshape(-1, unit // number).any(axis=1)
        runs = np.count_nonzero(mask[1:] & ~mask[:-1]) + int(mask[0])
        options.append((int(mask.sum()) * unit + 2 * int(runs), unit, mask))
    _, unit, mask = min(options, key=lambda each: each[:2])
    everything = np.ones(len(old) // number, np.bool_)
    return [(unit, mask), (number, everything)]


def _guessed(old: Bytes, new: Bytes, number: int) -> int:
    """Bytes in a row, from where runs of changed numbers begin and end; those of a number where none fits."""
    differs = (old != new).reshape(-1, number).any(axis=1)
    starts, ends = runs_of(differs)
    apart = np.concatenate([[True], starts[1:] - ends[:-1] > _GAP])
    found = 0
    for edge in np.concatenate([starts[apart], ends[np.roll(apart, -1)]])[:4096].tolist():
        found = gcd(found, edge)
    return found * number if found * number <= _UNITS[-1] else number
