"""Numbers come back as they were, and a cut or endless one is refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pocketrec.errors import ArtifactError
from pocketrec.package.delta.varints import from_varints, to_varint, to_varints

NUMBERS = st.lists(st.integers(0, 2**63 - 1) | st.integers(0, 300), max_size=12)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])  # by a machine that is busy
@given(NUMBERS)
def test_numbers_come_back_as_they_were(numbers: list[int]) -> None:
    data = to_varints(np.array(numbers, np.uint64))
    found, size = from_varints(np.frombuffer(data + b"\x05", np.uint8), len(numbers))
    assert found.tolist() == numbers
    assert size == len(data)
    assert b"".join(map(to_varint, numbers)) == data


def test_300_takes_two_bytes_lowest_first() -> None:
    assert to_varint(300) == b"\xac\x02"


@pytest.mark.parametrize(
    ("data", "said"), [(b"\x80", "cut"), (b"", "cut"), (b"\x80" * 9 + b"\x01", r"larger than 2\^63 - 1")]
)
def test_what_is_no_number_is_refused(data: bytes, said: str) -> None:
    with pytest.raises(ArtifactError, match=said):
        from_varints(np.frombuffer(data, np.uint8), 1)
