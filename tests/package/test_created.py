"""A release's time is the same for everybody, unless SOURCE_DATE_EPOCH says otherwise."""

from __future__ import annotations

import pytest

from pocketrec.errors import UsageError
from pocketrec.package.created import created


@pytest.mark.parametrize(
    ("epoch", "expected"),
    [
        (None, "1970-01-01T00:00:00Z"),
        ("0", "1970-01-01T00:00:00Z"),
        ("1767225600", "2026-01-01T00:00:00Z"),
        ("253402300799", "9999-12-31T23:59:59Z"),
    ],
)
def test_the_time_follows_from_the_variable(epoch: str | None, expected: str) -> None:
    assert created(epoch) == expected


@pytest.mark.parametrize("epoch", ["", "now", "-1", "1.5", " 1", "²", "253402300800", "9" * 5000])
def test_what_is_no_number_of_seconds_is_refused(epoch: str) -> None:
    with pytest.raises(UsageError, match=r"SOURCE_DATE_EPOCH is .*; expected seconds since 1970") as caught:
        created(epoch)
    assert len(str(caught.value)) < 200
