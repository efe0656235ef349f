"""Arrays in .npz files from outside: headers are judged before anything is unpacked."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Callable, Mapping
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

from pocketrec.errors import InputError, in_one_line
from pocketrec.outside import open_file

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_LARGEST = 1 << 30  # bytes of all arrays of a file; a batch of inputs is far smaller
_HEADERS = {(1, 0): "read_array_header_1_0", (2, 0): "read_array_header_2_0"}
_DAMAGES = (OSError, ValueError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, NotImplementedError)


def read_arrays(
    path: Path, fits: Callable[[Mapping[str, Any]], object] | None = None
) -> dict[str, npt.NDArray[np.generic]]:
    """The arrays of an .npz file by name, read once their headers are found to fit.

    Args:
        path: of the file.
        fits: raises where arrays of these names, shapes and dtypes are not wanted; None takes any.

    Raises:
        InputError: it is no .npz of plain arrays, or they are larger than 2^30 bytes together; names
            the array.
    """
    with open_file(path, error=InputError, remedy="save the inputs with numpy.savez") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                entries = _entries(archive, path)
                headers = {name: _header(archive, entry, path) for name, entry in entries.items()}
                if fits is not None:
                    fits(headers)
                _check_size(headers, path)
                return {name: _array(archive, entry) for name, entry in entries.items()}
        except (*_DAMAGES, SyntaxError, TokenError, TypeError, OverflowError, MemoryError) as error:
            reason = in_one_line(error)
            raise InputError(f"{path}: not an .npz of plain arrays ({reason}); use numpy.savez") from error


def _entries(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    entries = {each.filename.removesuffix(".npy"): each for each in archive.infolist()}
    if len(entries) != len(archive.infolist()):
        raise InputError(f"{path}: two arrays have one name; use numpy.savez")
    bad = next((name for name in entries if not name.isprintable()), None)
    if bad is not None:
        raise InputError(f"{path}: an array is called {bad!r}; use numpy.savez")
    return entries


def _header(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, path: Path) -> npt.NDArray[np.generic]:
    """An array of the shape and dtype that the entry says it has, which takes no memory."""
    import numpy as np

    npy: Any = np.lib.format  # which has no annotations
    with archive.open(entry) as stream:
        version = npy.read_magic(stream)
        if version not in _HEADERS:
            raise ValueError(f"{entry.filename}: version {version} of the format")
        shape, _, dtype = getattr(npy, _HEADERS[version])(stream)
        start = stream.tell()
    if dtype.hasobject or dtype.names is not None:
        raise InputError(f"{path}: {entry.filename} is of dtype {dtype}; expected plain numbers")
    if any(size < 0 for size in shape) or prod(shape) * dtype.itemsize != entry.file_size - start:
        raise InputError(
            f"{path}: {entry.filename} is {dtype} {list(shape)}, but has {entry.file_size - start} bytes; "
            "save it again with numpy.savez"
        )
    return np.broadcast_to(np.zeros((), dtype), shape)


def _check_size(headers: Mapping[str, Any], path: Path) -> None:
    total = sum(each.nbytes for each in headers.values())
    if total > _LARGEST:
        raise InputError(f"{path}: arrays of {total} bytes, expected at most {_LARGEST}; pass fewer rows")


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> npt.NDArray[np.generic]:
    import numpy as np

    npy: Any = np.lib.format
    with archive.open(entry) as stream:
        array: npt.NDArray[np.generic] = npy.read_array(stream, allow_pickle=False)
        return array
