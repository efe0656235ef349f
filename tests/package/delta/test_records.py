"""What records give is the newer file, whatever the hints say; what they must not say is refused by name."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.package.delta.bundles import COLUMNS, table

from pocketrec.errors import ArtifactError
from pocketrec.package.delta.decode import rebuild
from pocketrec.package.delta.encode import records_of, whole
from pocketrec.package.delta.format import LARGEST_PAYLOAD, LARGEST_STORED, Entry, deflate
from pocketrec.package.delta.layouts import Part
from pocketrec.package.delta.rows import HALVES
from pocketrec.package.delta.varints import to_varint, to_varints

ROW = 4 * COLUMNS


def given_by(records: bytes, base: Any, size: int) -> bytes:
    """The file that records give."""
    out = BytesIO()
    entry = Entry(path="f", size_bytes=size, sha256="", stored_bytes=len(records))
    rebuild(BytesIO(records), entry, np.frombuffer(base, np.uint8), out)
    return out.getvalue()


def against(old: bytes, new: bytes, *parts: tuple[Part, Part]) -> bytes:
    """The records of `new`, which are checked to give it."""
    before, after = np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8)
    made = records_of(before, after, [each[0] for each in parts], [each[1] for each in parts])
    records = b"".join(made)
    assert given_by(records, old, len(new)) == new
    return records


def part(end: int, *, start: int = 0, width: int = 4, row: int = 0, name: str = "t") -> Part:
    return Part(name=name, start=start, end=end, width=width, row=row)


SMALL = st.binary(max_size=80) | st.lists(
    st.sampled_from([b"abcdefghijklmnop", b"0123456789", b"\0" * 20])
).map(b"".join)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # by a machine that is busy
@given(SMALL, SMALL, st.integers(0, 40), st.integers(0, 40), st.sampled_from([HALVES, 1, 2, 4, 8]))
def test_any_file_comes_back_to_the_bit_whatever_the_hints(
    old: bytes, new: bytes, first: int, second: int, width: int
) -> None:
    pair = (
        part(len(old), start=min(first, len(old)), width=width),
        part(len(new), start=min(second, len(new)), width=width, row=16),
    )
    against(old, new, pair)
    against(old, new)
    assert given_by(b"".join(whole(np.frombuffer(new, np.uint8))), b"", len(new)) == new


def test_two_changed_rows_take_their_own_bytes_and_few_more() -> None:
    old, new = table(64, {}).tobytes(), table(64, {5: 0.5, 40: 0.25}).tobytes()
    hinted = against(old, new, (part(len(old), row=ROW), part(len(new), row=ROW)))
    guessed = against(old, new, (part(len(old)), part(len(new))))
    assert max(len(hinted), len(guessed)) < 2 * ROW + 40


def test_rows_that_were_appended_take_their_own_bytes_and_few_more() -> None:
    old, new = table(64, {}).tobytes(), table(67, {}).tobytes()
    assert len(against(old, new, (part(len(old), row=ROW), part(len(new), row=ROW)))) < 3 * ROW + 40


def test_rows_that_moved_are_copied() -> None:
    rows = table(80, {})
    old, new = rows.tobytes(), np.roll(rows, 7, axis=0).tobytes()
    assert len(against(old, new, (part(len(old), row=ROW), part(len(new), row=ROW)))) < 100


def test_drift_of_all_numbers_takes_fewer_bytes_than_they_have() -> None:
    old = table(80, {})
    new = (old * np.float32(1.0001)).astype(np.float32)
    taken = len(against(old.tobytes(), new.tobytes(), (part(old.nbytes, row=ROW), part(new.nbytes, row=ROW))))
    assert taken < 0.6 * old.nbytes


@pytest.mark.parametrize("width", [HALVES, 1])
def test_codes_of_which_few_moved_by_one_level_take_few_bytes(width: int) -> None:
    generator = np.random.default_rng(0)
    old = generator.integers(0, 256, 4096).astype(np.uint8)
    new = old + (generator.random(4096) < 0.05).astype(np.uint8)
    taken = len(against(old.tobytes(), new.tobytes(), (part(4096, width=width), part(4096, width=width))))
    assert taken < 0.16 * 4096


def test_a_tensor_of_which_nothing_is_known_is_no_larger_than_whole() -> None:
    generator = np.random.default_rng(0)
    old, new = generator.bytes(3000), generator.bytes(3000)
    assert len(against(old, new, (part(3000), part(3000)))) < 3000 + 30


def record(kind: int, *numbers: int, payload: bytes = b"", raw: int | None = None) -> bytes:
    """A record by hand."""
    packed = deflate(payload)
    size = len(payload) if raw is None else raw
    return bytes([kind]) + to_varints(np.array([*numbers, size, len(packed)])) + packed


def rows_record(place: int, unit: int, units: int, change: int = 1, width: int = 4) -> bytes:
    payload = to_varints(np.array([1, 0, 1])) + b"\1" * unit
    packed = deflate(payload)
    head = to_varint(place) + to_varint(unit) + to_varint(units) + bytes([change, width])
    return b"\2" + head + to_varint(len(payload)) + to_varint(len(packed)) + packed


TURN = to_varints(np.array([3, 0, 0])) + b"abc"


@pytest.mark.parametrize(
    ("records", "said"),
    [
        (b"", "ends beyond its file's records"),
        (b"\7", "kind 7 is none"),
        (record(1, 1, payload=TURN) + b"\0", "1 bytes of records are left over"),
        (record(1, 1, payload=TURN)[:-1], "ends beyond its file's records"),
        (record(1, 1, payload=TURN, raw=LARGEST_PAYLOAD + 1), "expected 2097152 at most"),
        (record(1, 1, payload=TURN, raw=5), "does not give the 5 bytes"),
        (record(1, 1, payload=TURN, raw=7), "does not give the 7 bytes"),
        (record(1, 0, payload=TURN), "no turns"),
        (record(1, 9, payload=TURN), "no turns"),
        (record(1, 1, payload=to_varints(np.array([4, 0, 0])) + b"abcd"), "what is left of the file"),
        (record(1, 1, payload=to_varints(np.array([0, 0, 0]))), "what is left of the file"),
        (record(1, 1, payload=to_varints(np.array([0, 3, 60]))), "copies from beyond"),
        (record(1, 1, payload=to_varints(np.array([0, 3, 1]))), "copies from beyond"),
        (record(1, 1, payload=to_varints(np.array([0, 2**62, 0]))), "what is left of the file"),
        (rows_record(0, 4, 1), "what is left of the newer"),
        (rows_record(30, 1, 3, width=1), "beyond the older file"),
        (rows_record(0, 0, 3), "beyond the older file"),
        (rows_record(0, 3, 1, width=2), "a width or a change that is none"),
        (rows_record(0, 3, 1, width=3), "a width or a change that is none"),
        (rows_record(0, 4, 1, change=3, width=2), "what is left of the newer"),
        (rows_record(0, 2, 1, change=3, width=2), "a width or a change that is none"),
        (rows_record(0, 3, 1, change=4, width=1), "a width or a change that is none"),
        (rows_record(0, 3, 1, change=1, width=0), "a width or a change that is none"),
        (b"\1\1\3\2\xff\xff", "DEFLATE is damaged"),
        (b"\1" + b"\x80" * 9 + b"\7", r"a number is larger than 2\^63 - 1"),
        (b"\1\1\3" + to_varint(LARGEST_STORED + 1) + b"\0" * (LARGEST_STORED + 1), "stored as 4194305 bytes"),
    ],
)
def test_a_record_that_cannot_be_is_refused_by_name(records: bytes, said: str) -> None:
    with pytest.raises(
        ArtifactError, match=rf"f: a record of the delta is damaged: .*{said}.*; pull the delta"
    ):
        given_by(records, b"\0" * 32, 3)


def test_a_bomb_is_not_inflated() -> None:
    bomb = deflate(b"\0" * (4 << 20))
    records = b"\1\1" + to_varint(100) + to_varint(len(bomb)) + bomb
    with pytest.raises(ArtifactError, match="does not give the 100 bytes"):
        given_by(records, b"", 3)
