"""An .npz is read only once its headers fit what takes it, and however small it is, it stays small."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pocketrec.cli.arrays import load_arrays, save_arrays
from pocketrec.errors import InputError
from pocketrec.validate.runtimes.runtime import TensorSpec

SPECS = (TensorSpec(name="ids", dtype="int32", shape=(None, 3), bounds=((1, None), (3, 3))),)


def entry(shape: tuple[int, ...], dtype: str, data: bytes) -> bytes:
    stream = io.BytesIO()
    header = {"descr": dtype, "fortran_order": False, "shape": shape}
    write_header: Any = np.lib.format.write_array_header_1_0
    write_header(stream, header)
    return stream.getvalue() + data


def write(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return path


def test_arrays_come_back_as_they_were_saved(tmp_path: Path) -> None:
    arrays = {"ids": np.arange(6, dtype=np.int32).reshape(2, 3), "t": np.array(["a", "b"])}
    save_arrays(tmp_path / "a.npz", arrays)
    found = load_arrays(tmp_path / "a.npz")
    assert list(found) == ["ids", "t"]
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array)


def test_zeros_that_unpack_to_gigabytes_are_refused_by_their_header(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*arguments: object) -> None:
        raise AssertionError("the array was read")

    monkeypatch.setattr(np.lib.format, "read_array", never)
    stream = zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED)
    with stream as archive, archive.open("ids.npy", "w", force_zip64=True) as file:
        file.write(entry((1 << 17, 1 << 12), "|u1", b""))
        for _ in range(1 << 9):
            file.write(bytes(1 << 20))
    assert (tmp_path / "a.npz").stat().st_size < 1 << 20
    with pytest.raises(InputError, match=r"'ids' is uint8; expected int32"):
        load_arrays(tmp_path / "a.npz", SPECS)


def test_arrays_larger_than_any_input_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pocketrec.source.arrays._LARGEST", 100)
    np.savez(tmp_path / "a.npz", a=np.zeros(10, np.float32), b=np.zeros(20, np.float32))
    with pytest.raises(InputError, match="arrays of 120 bytes, expected at most 100; pass fewer rows"):
        load_arrays(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.zeros((2, 4), np.int32), r"'ids' has shape \(2, 4\)"),
        (np.zeros((2, 3), np.int64), "'ids' is int64; expected int32"),
    ],
)
def test_a_header_that_does_not_fit_is_named(tmp_path: Path, given: np.ndarray, message: str) -> None:
    np.savez(tmp_path / "a.npz", ids=given)
    with pytest.raises(InputError, match=message):
        load_arrays(tmp_path / "a.npz", SPECS)


@pytest.mark.parametrize(
    "data",
    [
        entry((2, 3), "<i4", bytes(23)),  # cut
        entry((2, 3), "<i4", bytes(25)),  # longer
        entry((1 << 40, 1 << 40), "<i4", bytes(4)),
        entry((-1, -6), "<i4", bytes(24)),
        entry((2,), "|O", bytes(16)),
        entry((2,), "[('a', '<i4')]", bytes(8)),
        b"\x93NUMPY\x09\x00",
        b"\x93NUMPY\x01\x00\x16\x00{'descr': '<i4', 'f': (",  # a header whose bracket stays open
        b"",
    ],
)
def test_an_entry_that_is_not_what_it_says_is_refused(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(InputError, match=r"a\.npz: "):
        load_arrays(write(tmp_path / "a.npz", {"ids.npy": data}))


def test_two_arrays_of_one_name_are_refused(tmp_path: Path) -> None:
    good = entry((1,), "<i4", bytes(4))
    with pytest.raises(InputError, match="two arrays have one name"):
        load_arrays(write(tmp_path / "a.npz", {"ids.npy": good, "ids": good}))


def test_what_is_no_zip_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(3))
    with pytest.raises(InputError, match=r"a\.npy: not an \.npz of plain arrays"):
        load_arrays(tmp_path / "a.npy")
