"""What both files hold is copied, wherever it stands in the older one, and the turns cover the newer."""

from __future__ import annotations

import numpy as np
import pytest

from pocketrec.package.delta import matches as matching
from pocketrec.package.delta.matches import matches

TEXT = "".join(f"line {number} of the text\n" for number in range(400)).encode()


def copied(old: bytes, new: bytes, expected: int = 0) -> int:
    """How many bytes are copied; the turns are checked to give `new`."""
    found, total = b"", 0
    before, after = np.frombuffer(old, np.uint8), np.frombuffer(new, np.uint8)
    for each in matches(before, after, 0, len(new), expected):
        assert each.start == len(found)
        found += new[each.start : each.start + each.literal] + old[each.source : each.source + each.size]
        total += each.size
    assert found == new
    return total


@pytest.mark.parametrize(
    ("new", "left"),
    [
        (TEXT, 0),
        (TEXT + b"more", 4),
        (b"more" + TEXT, 4),
        (TEXT[:5000] + b"***" + TEXT[5000:], 7),
        (TEXT[:5000] + b"***" + TEXT[5003:], 3),
        (TEXT[:3000] + TEXT[3500:], 0),
        (TEXT[6000:] + TEXT[:6000], 16),
        (TEXT + TEXT, 0),
    ],
)
def test_all_is_copied_but_for_what_is_new(new: bytes, left: int) -> None:
    assert copied(TEXT, new) >= len(new) - left


@pytest.mark.parametrize("expected", [-5, 0, 300, 10**6])
def test_where_it_is_expected_may_be_wrong(expected: int) -> None:
    assert copied(TEXT, b"*" + TEXT, expected) >= len(TEXT) - 16


@pytest.mark.parametrize(("old", "new"), [(b"", TEXT), (TEXT, b""), (b"abc", b"abcd"), (b"", b"")])
def test_files_too_short_to_look_up_are_taken_as_they_are(old: bytes, new: bytes) -> None:
    copied(old, new)


def test_windows_of_a_long_file_are_joined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_WINDOW", 1000)
    old = np.random.default_rng(0).bytes(9000)
    assert copied(old, b"new" + old[:3000] + b"more" + old[3000:]) == 9000
