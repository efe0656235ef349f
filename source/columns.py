"""Rows of Parquet and Arrow files, and their columns as the arrays that a function takes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import DataError, MissingExtra, RecipeError
from pocketrec.outside import require_file

Array = npt.NDArray[Any]
Where = Callable[[int], str]  # a row's number among those at hand, to its file and its number there

_BATCH_ROWS = 4096  # read at a time
_AGAIN = "write the file again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """How a column becomes an input.

    Attributes:
        name: of the column and of the input.
        dtype: of the input.
        shape: of one row, with the largest size of every dim.
        fill: what lists are filled up with; None where they have to be full.
        left: whether they are filled up at their beginning.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    fill: int | None
    left: bool


def paths_of(pattern: str, base: Path, key: str) -> list[Path]:
    """The files that a path with `*` leads to, by name; RecipeError naming `key` where there is none.

    As in a shell, `*` leads to no hidden file, such as one that is being written, unless named so.
    """
    try:
        found = sorted(base.glob(pattern)) if not Path(pattern).is_absolute() else _absolute(Path(pattern))
    except (ValueError, OSError) as error:
        raise RecipeError(f"{key} is {pattern!r}; expected a path, with `*` for many ({error})") from None
    if not Path(pattern).name.startswith("."):
        found = [each for each in found if not each.name.startswith(".")]
    if not found:
        raise RecipeError(f"{key} is {pattern!r}; no such file in {base}")
    return found


def _absolute(path: Path) -> list[Path]:
    return sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))


def pyarrow() -> Any:
    """The package; MissingExtra where it is not installed."""
    try:
        import pyarrow as package
    except ModuleNotFoundError:
        raise MissingExtra("pyarrow", "parquet") from None
    return package


@contextmanager
def _damage_told(path: Path) -> Iterator[None]:
    """Tells what the library raises on a file that is damaged as one DataError."""
    pa = pyarrow()
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:  # KeyError: a name stands twice
        raise DataError(f"{path}: cannot be read ({_line(error)}); write it again") from None


def schema_of(path: Path) -> tuple[Any, int]:
    """The columns of a file, and how many rows it has."""
    pa = pyarrow()
    with _damage_told(path):
        if path.suffix == ".parquet":
            import pyarrow.parquet as pq

            file = pq.ParquetFile(_regular(path))
            found, rows = file.schema_arrow, file.metadata.num_rows
        else:
            reader = pa.ipc.open_file(pa.memory_map(str(_regular(path))))
            counts = (reader.get_batch(each).num_rows for each in range(reader.num_record_batches))
            found, rows = reader.schema, sum(counts)
        list(found.names)  # as text, which bytes from outside may not be
    return found.remove_metadata(), rows


def groups_of(path: Path) -> tuple[int, ...]:
    """The first row of each row group of a Parquet file; of a file that has none, the first row."""
    if path.suffix != ".parquet":
        return (0,)
    import pyarrow.parquet as pq

    with _damage_told(path):
        about, found = pq.ParquetFile(_regular(path)).metadata, [0]
        for group in range(about.num_row_groups - 1):
            found.append(found[-1] + about.row_group(group).num_rows)
    return tuple(found)


def _regular(path: Path) -> Path:
    """The path of a regular file, which the library opens by its name; DataError for anything else."""
    return require_file(path, error=DataError, remedy="pass a .parquet, .arrow or .feather file")


def read_rows(path: Path, names: list[str], start: int) -> Iterator[Any]:
    """Batches of the named columns from row `start` on; row groups before it are not read.

    Raises:
        DataError: the file is damaged.
    """
    with _damage_told(path):
        for batch in _parquet(path, names, start) if path.suffix == ".parquet" else _arrow(path, start):
            if batch.num_rows:
                yield batch.select(names).replace_schema_metadata(None)


def _parquet(path: Path, names: list[str], start: int) -> Iterator[Any]:
    import pyarrow.parquet as pq

    file = pq.ParquetFile(_regular(path))
    groups, before = [], 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if before + rows > start:
            groups.append(group)
        else:
            start -= rows
            continue
        before += rows
    for batch in file.iter_batches(_BATCH_ROWS, row_groups=groups, columns=names):
        yield batch.slice(min(start, batch.num_rows))
        start = max(0, start - batch.num_rows)


def _arrow(path: Path, start: int) -> Iterator[Any]:
    pa = pyarrow()
    reader = pa.ipc.open_file(pa.memory_map(str(_regular(path))))
    for number in range(reader.num_record_batches):
        batch = reader.get_batch(number)
        yield batch.slice(min(start, batch.num_rows))
        start = max(0, start - batch.num_rows)


def values_of(column: Any, name: str) -> Array:
    """A column of one number or text per row; DataError for anything else.

    A number that is missing is NaN, a text that is missing is empty.
    """
    pa = pyarrow()
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return np.array(column.fill_null("").to_pylist(), dtype=np.str_)
    numbers = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean)
    if not any(each(column.type) for each in numbers):
        raise DataError(f"column {name}: holds {column.type}; expected numbers or texts, one per row")
    found = column.cast(pa.float64()).to_numpy() if column.null_count else column.to_numpy()
    return np.asarray(found)


def input_of(column: Any, spec: Column, where: Where) -> Array:
    """A column as the array that the function takes; DataError naming the row that does not fit.

    Args:
        column: of some rows.
        spec: what becomes of it.
        where: the file and the number in it of a row, for messages.
    """
    kind = column.type
    if not _is_list(kind):
        if prod(spec.shape) != 1:
            raise bad_value(spec.name, where(0), f"is {kind}", f"a list of {prod(spec.shape)} values")
        return numbers_of(column, spec.name, spec.dtype, where).reshape(-1, *spec.shape)
    values, lengths = lists_of(column, spec.name, spec.dtype, where)
    size = prod(spec.shape)
    wrong = lengths > size if spec.fill is not None else lengths != size
    if wrong.any():
        row = int(np.argmax(wrong))
        raise _wrong_length(spec, where(row), int(lengths[row]), size)
    filled = np.full((len(lengths), size), spec.fill or 0, spec.dtype)
    places = np.arange(size)[None]
    lengths = lengths[:, None]
    filled[places >= size - lengths if spec.left else places < lengths] = values
    return filled.reshape(-1, *spec.shape)


def _wrong_length(spec: Column, place: str, came: int, size: int) -> DataError:
    """What to raise where a list is too long, or too short for what nothing fills up."""
    remedy = _AGAIN
    if spec.fill is not None:
        remedy += " with the most recent alone"
    elif came < size and np.dtype(spec.dtype).kind == "i":
        remedy += ", or state the input's padding_side and its vocabulary's padding_id, which fill up"
    most = f"{size} at most" if spec.fill is not None else str(size)
    return bad_value(spec.name, place, f"has {came} value{'s' * (came != 1)}", most, remedy)


def lists_of(column: Any, name: str, dtype: str, where: Where) -> tuple[Array, Array]:
    """The values of all lists, one after the other, and the length of each; DataError for a null."""
    import pyarrow.compute as pc

    if not _is_list(column.type):
        raise bad_value(name, where(0), f"is {column.type}", "a list")
    if column.null_count:
        row = int(np.argmax(np.asarray(column.is_null())))
        raise bad_value(name, where(row), "is null", "a list")
    lengths = np.asarray(pc.list_value_length(column)).astype(np.int64)
    flat = pc.list_flatten(column)
    if flat.null_count:
        place = int(np.argmax(np.asarray(flat.is_null())))
        row = int(np.searchsorted(np.cumsum(lengths), place, side="right"))
        raise bad_value(name, where(row), "holds a null", "numbers")
    ends = np.cumsum(lengths)
    return _as(
        np.asarray(flat), name, dtype, lambda at: where(int(np.searchsorted(ends, at, side="right")))
    ), lengths


def numbers_of(column: Any, name: str, dtype: str, where: Where) -> Array:
    """The values of a column of numbers; DataError for a null, or for what the dtype does not hold."""
    if column.null_count:
        row = int(np.argmax(np.asarray(column.is_null())))
        raise bad_value(name, where(row), "is null", "a number")
    return _as(np.asarray(column), name, dtype, where)


def _as(values: Array, name: str, dtype: str, where: Where) -> Array:
    """The values in a dtype that holds them exactly, or as floats; `where` gives the row of a value."""
    wanted = np.dtype(dtype)
    kinds = {"i": "iu", "f": "fiub", "b": "b"}[wanted.kind]
    if values.dtype.kind not in kinds:
        held = f"holds {values.flat[0]!r}" if values.size else f"is of type {values.dtype}"
        raise bad_value(name, where(0), held, dtype)
    if wanted.kind == "i":
        limits = np.iinfo(wanted)
        outside = np.flatnonzero((values < limits.min) | (values > limits.max))
        if len(outside):
            place = int(outside[0])
            raise bad_value(name, where(place), f"holds {values[place]}", dtype)
    with np.errstate(over="ignore"):
        made = values.astype(wanted)
    if wanted.kind == "f":
        lost = np.flatnonzero(~np.isfinite(made))
        if len(lost):
            raise bad_value(name, where(int(lost[0])), f"holds {values[lost[0]]}", f"a finite {dtype}")
    return made


def _is_list(kind: Any) -> bool:
    """Whether a column of that type holds a list in every row."""
    types = pyarrow().types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def bad_value(name: str, place: str, came: str, expected: str, remedy: str = _AGAIN) -> DataError:
    """What to raise where a row, given by its file and number, has a value that does not fit."""
    return DataError(f"{place}, column {name!r} {came}; expected {expected}; {remedy}")


def _line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
