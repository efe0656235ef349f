"""Frames of tensors: what goes in comes out, and what is no frame is refused."""

from __future__ import annotations

import numpy as np
import pytest

from pocketrec.errors import ExecutionError
from pocketrec.validate.runtimes.runtime import Array
from pocketrec.validate.runtimes.web_frames import from_frame, to_frame

TENSORS: dict[str, Array] = {
    "ids": np.array([[1, -(2**31)]], np.int32),
    "big": np.array([2**62 + 1, -1], np.int64),
    "mask": np.array([True, False, True]),
    "scores": np.array([[0.1, np.nan], [-np.inf, -0.0]], np.float32),
    "none": np.zeros((0, 3), np.float32),
    "scalar": np.array(7.5, np.float64),
}


def test_every_dtype_comes_back_bit_for_bit_with_its_shape() -> None:
    found = from_frame(to_frame(TENSORS))
    assert list(found) == list(TENSORS)
    for name, array in TENSORS.items():
        assert (found[name].dtype, found[name].shape) == (array.dtype, array.shape)
        assert found[name].tobytes() == array.tobytes()


def test_a_strided_or_big_endian_array_is_sent_in_rows_and_little_endian() -> None:
    table = np.arange(6, dtype=np.int32).reshape(2, 3)
    found = from_frame(to_frame({"turned": table.T, "other": table.astype(">i4")}))
    assert found["turned"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found["other"].tolist() == table.tolist()


@pytest.mark.parametrize(
    "data",
    [b"", b"\x05\0\0\0nojsn", to_frame(TENSORS)[:-8], to_frame(TENSORS).replace(b"float64", b"float99")],
)
def test_what_is_no_frame_is_one_line(data: bytes) -> None:
    with pytest.raises(ExecutionError, match="no frame of tensors") as caught:
        from_frame(data)
    assert "\n" not in str(caught.value)
