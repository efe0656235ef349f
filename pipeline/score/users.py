"""Users in Parquet or Arrow files: how many there are, and each as a key and the arguments of a call.

files ─▶ spans of rows ─▶ batches of a span, read forward ─▶ users, never all at once
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import finalize

from pocketrec.contract import Contract
from pocketrec.errors import DataError
from pocketrec.package.host.items import Items
from pocketrec.package.host.roles import Call
from pocketrec.pipeline.score.arguments import (
    Argument,
    arguments_of,
    check_types,
    is_text_type,
    leaf_of,
)
from pocketrec.source.columns import groups_of, paths_of, pyarrow, read_rows, schema_of

Row = tuple[Any, dict[str, Any]]  # a user's key and the arguments of the call
Span = tuple[int, int]  # first row and end, counted over all files

_SPAN_ROWS = 1 << 11  # of a part: what is lost where work is killed, and how often progress is told


@dataclass(frozen=True, slots=True, kw_only=True)
class UserFile:
    """A file of users.

    Attributes:
        path: of the file.
        first: its first row, counted over all files.
        rows: how many it has.
        groups: the first row of each of its row groups, counted in the file; of files without, the first.
    """

    path: Path
    first: int
    rows: int
    groups: tuple[int, ...]

    @property
    def end(self) -> int:
        """Behind its last row, counted over all files."""
        return self.first + self.rows

    def group(self, row: int) -> int:
        """The number of a row's row group; the row is counted over all files."""
        return bisect_right(self.groups, row - self.first) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Users:
    """Rows of files that are one table, a user each.

    Attributes:
        files: in order.
        key: the column that tells users apart.
        key_type: what it holds.
        arguments: what is read for a call.
        unread: the files' other columns.
        ids: whether whole numbers are ids of a vocabulary.
    """

    files: tuple[UserFile, ...]
    key: str
    key_type: Any
    arguments: tuple[Argument, ...]
    unread: tuple[str, ...]
    ids: bool

    @property
    def rows(self) -> int:
        """How many users there are."""
        return self.files[-1].end

    @property
    def names(self) -> list[str]:
        """The columns that are read."""
        return list(dict.fromkeys([self.key, *(each.column for each in self.arguments)]))

    def spans(self) -> list[Span]:
        """Each part of the work; none has rows of two files."""
        return [
            (start, min(each.end, start + _SPAN_ROWS))
            for each in self.files
            for start in range(each.first, each.end, _SPAN_ROWS)
        ]

    def file_of(self, row: int) -> UserFile:
        """The file that holds a row."""
        return next(each for each in self.files if row < each.end)

    def where(self, row: int) -> str:
        """The file of a row, its number there, and its row group."""
        file = self.file_of(row)
        group = f" (row group {file.group(row)})" if file.path.suffix == ".parquet" else ""
        return f"{file.path}: row {row - file.first}{group}"

    def batches(self, names: list[str]) -> Iterator[tuple[int, Any]]:
        """The first row of each batch of all files, and its columns of these names."""
        for file in self.files:
            first = file.first
            for batch in read_rows(file.path, names, 0):
                yield first, batch
                first += batch.num_rows

    def rows_of(self, batch: Any, vocabularies: Mapping[str, Items]) -> list[Row]:
        """Every user of a batch."""
        columns = {each.name: _values(batch[each.column], each, vocabularies) for each in self.arguments}
        keys = batch[self.key].to_pylist()
        return [
            (key, {name: values[place] for name, values in columns.items()}) for place, key in enumerate(keys)
        ]


class Reader:
    """Spans of users, read forward: rows of a row group that lie before a span are decoded only once."""

    def __init__(self, users: Users) -> None:
        self._users = users
        self._file: UserFile | None = None
        self._at = 0
        self._rest: Any = None  # of the batch that a span ended in
        self._read: list[Iterator[Any]] = []  # the one that is open
        self.close = finalize(self, _close, self._read)  # at the latest where the process ends

    def span(self, span: Span) -> Iterator[tuple[int, Any]]:
        """The first row of each batch of a span, and its columns."""
        start, end = span
        self._seek(start)
        while self._at < end:
            batch = self._rest if self._rest is not None else next(self._read[0])
            taken = batch.slice(max(0, start - self._at), max(0, end - max(start, self._at)))
            first, behind = max(start, self._at), min(self._at + batch.num_rows, end)
            self._rest = batch.slice(behind - self._at) if behind < self._at + batch.num_rows else None
            self._at = behind
            if taken.num_rows:
                yield first, taken

    def _seek(self, row: int) -> None:
        """Goes to a batch at or before a row, on from where it is where that is nearer."""
        file = self._users.file_of(row)
        begin = file.first + file.groups[file.group(row)]
        if file is self._file and begin <= self._at <= row:
            return
        self._file, self._at, self._rest = file, row, None
        _close(self._read)
        self._read.append(read_rows(file.path, self._users.names, row - file.first))


def _close(read: list[Any]) -> None:
    while read:
        read.pop().close()


def _values(column: Any, each: Argument, vocabularies: Mapping[str, Items]) -> list[Any]:
    values: list[Any] = column.to_pylist()
    if not each.vocabulary or not pyarrow().types.is_integer(leaf_of(column.type)[0]):
        return values
    items = vocabularies[each.vocabulary]
    if each.depth == 0:
        return [_word(items, value) for value in values]
    return [[_word(items, value) for value in listed] for listed in values]


def _word(items: Items, place: int) -> str:
    """The token of an id; of padding, unknown and ids beyond, the empty word, which no item is."""
    return items.tokens[place] if items.is_item(place) else ""


def open_users(
    pattern: str, contract: Contract, call: Call, *, key: str, columns: Mapping[str, str], ids: bool
) -> Users:
    """The users of the files that a path, or a pattern with `*`, leads to; only their schemas are read.

    Raises:
        UsageError: there is no such file, or an option names what is not there.
        DataError: a column is missing or of a type that cannot be read, or files differ in theirs.
    """
    paths = paths_of(pattern, Path(), "--data")
    schema, _ = schema_of(paths[0])
    files = _files(paths, schema)
    try:
        _check_key(key, schema)
        arguments = arguments_of(contract, call, columns, list(schema.names))
        check_types(arguments, schema, ids=ids)
    except DataError as error:
        raise DataError(f"{paths[0]}: {error}") from None
    used = {key, *(each.column for each in arguments)}
    users = Users(
        files=files,
        key=key,
        key_type=schema.field(key).type,
        arguments=arguments,
        unread=tuple(each for each in schema.names if each not in used),
        ids=ids,
    )
    if not users.rows:
        raise DataError(f"{pattern}: no rows; expected a row for each user")
    return users


def _files(paths: list[Path], schema: Any) -> tuple[UserFile, ...]:
    found: list[UserFile] = []
    for path in paths:
        own, rows = schema_of(path)
        if not own.equals(schema):
            raise DataError(
                f"{path}: its columns are not those of {paths[0]}, by name, type and order; write them alike"
            )
        first = found[-1].end if found else 0
        found.append(UserFile(path=path.absolute(), first=first, rows=rows, groups=groups_of(path)))
    return tuple(found)


def _check_key(key: str, schema: Any) -> None:
    if key not in schema.names:
        raise DataError(
            f"column {key!r} is missing, which tells users apart; the file has "
            f"{', '.join(schema.names)}: name it with --key"
        )
    kind = schema.field(key).type
    if not (pyarrow().types.is_integer(kind) or is_text_type(kind)):
        raise DataError(f"column {key!r} holds {kind}; expected strings or whole numbers, one for each user")
