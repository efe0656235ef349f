"""A checkpoint as places in files: where each tensor's bytes lie, read without ever being loaded.

    .safetensors                 one file, or shards named by an .index.json
    a state dict by torch.save   the zip form, whose tensors lie uncompressed
    a folder of .npy files       one per tensor, named `<tensor>.npy`

Everything is checked against the file's real size when it is opened, so that a missing or
truncated shard is an error before any work is done.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
import tokenize
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import PocketrecError, RecipeError
from pocketrec.outside import open_file, read_json, require_file
from pocketrec.source.weight_names import unnested

Array = npt.NDArray[Any]

# How each float format is read; bfloat16 is widened by hand, NumPy has no such type.
_READ_AS = {"F32": "<f4", "F16": "<f2", "F64": "<f8", "BF16": "<u2"}
_SIZES = {"F8_E4M3": 1, "F8_E5M2": 1, "BOOL": 1, "U8": 1, "I8": 1, "I16": 2, "U16": 2, "I32": 4, "U32": 4}
_SIZES |= {"I64": 8, "U64": 8, "F16": 2, "BF16": 2, "F32": 4, "F64": 8}
_LARGEST_HEADER = 100 << 20
# What reading a file that is not what it says may raise.
_DAMAGES = (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, struct.error)
_NAME_LENGTH, _ZIP_HEADER = 26, 30  # of a file within a zip: where its name's length is, and its size without
_HELD = re.compile(r"GLOBAL (\S+) was not an allowed global")
_AGAIN = "copy or save the checkpoint again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """One tensor's bytes in a file.

    Attributes:
        name: in the checkpoint.
        path: of the file.
        offset: of the first byte.
        dtype: in the letters of safetensors, such as `F32`.
        shape: sizes.
    """

    name: str
    path: Path
    offset: int
    dtype: str
    shape: tuple[int, ...]

    @property
    def size_bytes(self) -> int:
        """Bytes in the file."""
        return math.prod(self.shape) * _SIZES[self.dtype]

    @property
    def is_float(self) -> bool:
        """Whether rows of it can be read as float32."""
        return self.dtype in _READ_AS


class RowReader:
    """Rows of one tensor of two axes, as float32; plain reads, so that no page stays in memory."""

    def __init__(self, span: Span) -> None:
        self.span = span
        self._row_bytes = span.size_bytes // max(1, span.shape[0])
        self._opened = open_file(span.path, error=RecipeError, remedy=_AGAIN)
        self._file = self._opened.fileno()

    def read(self, start: int, stop: int, into: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Rows `start` to `stop`, in the first rows of `into`; RecipeError where the file has ended."""
        rows = into[: stop - start]
        exact = self.span.dtype == "F32"
        raw = rows if exact else np.empty(rows.shape, _READ_AS[self.span.dtype])
        self._fill(raw.reshape(-1).view(np.uint8).data, start)
        if self.span.dtype == "BF16":
            rows.view(np.uint32)[...] = raw.astype(np.uint32) << 16
        elif not exact:
            with np.errstate(over="ignore"):  # what is infinite as float32 is refused with its row
                rows[...] = raw
        return rows

    def _fill(self, view: memoryview, row: int) -> None:
        done = 0
        while done < len(view):
            position = self.span.offset + row * self._row_bytes + done
            count = os.preadv(self._file, [view[done:]], position)
            if not count:
                raise RecipeError(
                    f"{self.span.path}: ends at row {row + done // self._row_bytes} of {self.span.name}, "
                    f"which has {self.span.shape[0]}; {_AGAIN}"
                )
            done += count

    def close(self) -> None:
        """Closes the file."""
        self._opened.close()


def open_checkpoint(path: Path) -> dict[str, Span]:
    """The places of all tensors of the checkpoint at `path`, by name.

    Raises:
        RecipeError: a file is missing, damaged or shorter than it says; names it.
    """
    if path.is_dir():
        spans = _from_folder(path)
    elif path.name.endswith(".index.json"):
        spans = _from_index(path)
    elif path.suffix == ".safetensors":
        spans = _from_safetensors(path)
    else:
        spans = _from_torch(path)
    for span in spans.values():
        _check_size(span)
    return spans


def _size(path: Path) -> int:
    return require_file(path, error=RecipeError, remedy=_AGAIN).stat().st_size


def _check_size(span: Span) -> None:
    size, end = _size(span.path), span.offset + span.size_bytes
    if end > size:
        raise RecipeError(
            f"{span.path}: {size} bytes, but {span.name} ends at byte {end}; the file is truncated, {_AGAIN}"
        )


def _from_safetensors(path: Path) -> dict[str, Span]:
    size = _size(path)
    try:
        with open_file(path, error=RecipeError, remedy=_AGAIN) as file:
            (length,) = struct.unpack("<Q", file.read(8))
            if length > min(size - 8, _LARGEST_HEADER):
                raise ValueError(f"a header of {length} bytes in a file of {size}")
            header = json.loads(file.read(length))
        spans = {
            name: _span(name, path, each, 8 + length)
            for name, each in header.items()
            if name != "__metadata__"
        }
        _check_covered(spans, 8 + length, size)
        return spans
    except _DAMAGES as error:
        raise RecipeError(f"model.weights: {path} is no safetensors file ({error}); {_AGAIN}") from None


def _check_covered(spans: Mapping[str, Span], start: int, size: int) -> None:
    """Checks that every byte of the file belongs to one tensor; a file cut short is told by its tensor."""
    for each in sorted(spans.values(), key=lambda span: (span.offset, span.size_bytes)):
        if each.offset != start:
            raise ValueError(f"{each.name} begins at byte {each.offset}, expected {start}")
        start += each.size_bytes
    if size > start:
        raise ValueError(f"{size - start} bytes after the last tensor")


def _span(name: str, path: Path, entry: Mapping[str, Any], base: int) -> Span:
    start, stop = entry["data_offsets"]
    shape = tuple(entry["shape"])
    whole = all(type(each) is int and each >= 0 for each in (*shape, start, stop))
    if entry["dtype"] not in _SIZES or not whole:
        raise ValueError(f"{name}: dtype {entry['dtype']!r}, shape {list(shape)}, offsets {start}..{stop}")
    span = Span(name=name, path=path, offset=base + start, dtype=entry["dtype"], shape=shape)
    if span.size_bytes != stop - start:
        raise ValueError(f"{name}: {stop - start} bytes for shape {list(shape)}")
    return span


def _from_index(path: Path) -> dict[str, Span]:
    index = read_json(path, error=RecipeError, remedy=_AGAIN)
    try:
        places = index["weight_map"]
        names = sorted({str(each) for each in places.values()})
    except (OSError, *_DAMAGES) as error:
        raise RecipeError(f"model.weights: {path} is no index of shards ({error}); {_AGAIN}") from None
    spans: dict[str, Span] = {}
    for each in names:
        if Path(each).name != each or each in ("", "..") or not each.isprintable():
            raise RecipeError(f"model.weights: {path} names the shard {each!r}; expected a file beside it")
        shard = _from_safetensors(path.parent / each)
        spans.update({name: span for name, span in shard.items() if places.get(name) == each})
    lost = sorted(set(places) - set(spans))
    if lost:
        raise RecipeError(f"{path.parent / places[lost[0]]}: lacks {lost[0]}, which {path.name} places there")
    return spans


def _from_folder(path: Path) -> dict[str, Span]:
    letters = {
        np.dtype(f"<{kind}{size}"): f"{kind.upper()}{8 * size}" for kind in "iuf" for size in (2, 4, 8)
    }
    letters |= {np.dtype("i1"): "I8", np.dtype("u1"): "U8", np.dtype("?"): "BOOL"}
    spans = {}
    for each in sorted(path.glob("*.npy")):
        try:
            array = np.load(require_file(each, error=RecipeError, remedy=_AGAIN), mmap_mode="r")
            if not array.flags.c_contiguous:
                raise ValueError("its rows are not contiguous")
            dtype = letters[array.dtype]
        except (OSError, EOFError, SyntaxError, tokenize.TokenError, zipfile.BadZipFile, *_DAMAGES) as error:
            raise RecipeError(f"model.weights: {each} is no array of numbers ({error}); {_AGAIN}") from None
        offset = int(array.offset)
        spans[each.stem] = Span(name=each.stem, path=each, offset=offset, dtype=dtype, shape=array.shape)
    if not spans:
        raise RecipeError(f"model.weights: {path} is a folder without <tensor>.npy files; name a checkpoint")
    return spans


def _from_torch(path: Path) -> dict[str, Span]:
    """The tensors of a zipped state dict, read as shapes only; torch notes where each storage lies."""
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    _size(path)
    letters = {"float32": "F32", "float16": "F16", "bfloat16": "BF16", "float64": "F64", "bool": "BOOL"}
    letters |= {f"int{bits}": f"I{bits}" for bits in (8, 16, 32, 64)} | {"uint8": "U8"}
    try:
        places = _records(path)
        with FakeTensorMode():
            given = require_file(path, error=RecipeError, remedy=_AGAIN)
            state, _ = unnested(torch.load(given, map_location="cpu", weights_only=True))
        spans = {}
        for name, each in state.items():
            if not isinstance(each, torch.Tensor):
                raise ValueError(f"{name} is a {type(each).__name__}, expected a tensor")
            start: int | None = each.untyped_storage()._checkpoint_offset
            if start not in places and each.numel():
                raise ValueError(f"{name} does not lie where torch.save puts it")
            if not each.is_contiguous() or each.is_neg() or each.is_conj():
                raise ValueError(f"{name} is not contiguous, or a view")
            offset = (start or 0) + int(each.storage_offset()) * each.element_size()
            dtype = letters.get(str(each.dtype).removeprefix("torch."), "")
            if not dtype:
                raise ValueError(f"{name} is {each.dtype}, expected real numbers")
            spans[name] = Span(name=name, path=path, offset=offset, dtype=dtype, shape=tuple(each.shape))
    except Exception as error:
        raise unread(path, error) from error
    return spans


def unread(path: Path, error: Exception) -> RecipeError:
    """What to raise where neither reader of weights takes the file; `error` is the reader's."""
    return RecipeError(
        f"model.weights: {path} is neither safetensors nor a state dict of plain tensors ({_reason(error)}); "
        "save it with safetensors.torch.save_file(model.state_dict(), ...)"
    )


def _reason(error: Exception) -> str:
    """The reader's reason in a few words; PyTorch's own would have the file run as code."""
    text = str(error)
    held = _HELD.search(text)
    if held is not None:
        return f"it holds {held[1]}, which is no tensor"
    if isinstance(error, PocketrecError | OSError) or (type(error) is ValueError and text):
        return text.splitlines()[0]
    return "nothing that torch.save writes, or cut short"


def check_stored(archive: zipfile.ZipFile) -> None:
    """Checks that an archive holds tensors as torch.save stores them; ValueError where it does not.

    PyTorch maps a compressed tensor, too, and takes its compressed bytes for numbers.
    """
    if any(each.endswith("/constants.pkl") for each in archive.namelist()):
        raise ValueError("it is a TorchScript file, which is a model.factory of its own")
    if any(each.compress_type != zipfile.ZIP_STORED for each in archive.infolist()):
        raise ValueError("its tensors are compressed, which torch.save never does")


def _number(name: str) -> int:
    return int(name.removeprefix("data/"))


def _records(path: Path) -> frozenset[int]:
    """The first byte of every storage, by the zip's own headers; ValueError where torch would not find them.

    torch computes where they lie from the layout that it writes, in the order of their numbers.
    """
    with open_file(path, error=RecipeError) as file, zipfile.ZipFile(file) as archive:
        check_stored(archive)
        entries = {each.filename.partition("/")[2]: each for each in archive.infolist()}
        order = entries.get("byteorder")
        if order is not None and archive.read(order) != b"little":
            raise ValueError("its numbers are in big-endian order")
        starts = []
        for name in sorted((each for each in entries if each.startswith("data/")), key=_number):
            entry = entries[name]
            file.seek(entry.header_offset + _NAME_LENGTH)
            starts.append(entry.header_offset + _ZIP_HEADER + sum(struct.unpack("<HH", file.read(4))))
    if starts != sorted(starts):
        raise ValueError("its tensors are in another order than torch.save puts them")
    return frozenset(starts)
