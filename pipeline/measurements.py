"""Files that remember what a search found out, so that one that was cut short goes on.

    measurements.jsonl   what a plan costs
    candidates.jsonl     how large a tensor is in a form, and how much noise that is

Each line is an entry, the key of everything that decides it, and the digest of both; a line that is none, or
was edited, is found out again.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from pocketrec.errors import PocketrecError, StorageError
from pocketrec.kept import key_of
from pocketrec.outside import read_file
from pocketrec.schema import from_table

if TYPE_CHECKING:
    from pocketrec.quantize.planner import Measured


_LARGEST = 1 << 30  # bytes of measurements; a search of a day makes a thousandth
_LARGEST_LOSS = 1e9  # of any metric; what is larger was written by hand
_DIGEST = "sha256"  # of a line's other fields
_MOVE = "move what is in the way, or free space"


@contextmanager
def search_folder(folder: Path) -> Iterator[None]:
    """Makes a StorageError of what the system says of a file in the folder while this is open."""
    try:
        yield
    except OSError as error:
        place = error.filename or folder
        raise StorageError(
            f"{place}: {error.strerror}; a search keeps its plan and measurements in {folder}: move what is "
            "in the way, or free space"
        ) from error


E = TypeVar("E", bound="Entry")


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A line of a file; `key` is the digest of everything that decides the rest."""

    key: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Weighed(Entry):
    """A tensor in some form; `size_bytes` is None where it does not fit, or a target cannot carry it."""

    size_bytes: int | None
    noise: float
    limited: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Costs(Entry):
    losses: Mapping[str, float]
    distortion: float
    errors: Mapping[str, float]


class EntryFile(Generic[E]):
    """Entries by key, one JSON line each.

    Args:
        path: of the file, which need not be there.
        kind: of the entries.
        believable: whether an entry may stand in the file; others are left out, read or written.

    Raises:
        StorageError: the file cannot be read.
    """

    def __init__(self, path: Path, kind: type[E], believable: Callable[[E], bool]) -> None:
        self._path, self._kind, self._believable = path, kind, believable
        self._known: dict[str, E] = {}
        with search_folder(path.parent):
            there = path.exists()  # a folder without permissions, too, is said as a search's
        data = read_file(path, largest=_LARGEST, error=StorageError, remedy=_MOVE) if there else b""
        text = data.decode("utf-8", errors="replace")
        self._before = "\n" if text and not text.endswith("\n") else ""  # a line that was cut off ends here
        for line in text.splitlines():
            self._take(line)

    def _take(self, line: str) -> None:
        try:
            table = json.loads(line)
            written = isinstance(table, dict) and table.pop(_DIGEST, None) == key_of(**table)
            entry = from_table(self._kind, table, source=self._path.name)
        except (ValueError, RecursionError, PocketrecError):
            return
        if written and self._believable(entry):
            self._known[entry.key] = entry

    def get(self, key: str) -> E | None:
        """The entry of that key, where it is known."""
        return self._known.get(key)

    def put(self, entry: E) -> None:
        """Writes the entry to disk before it returns, unless it has no meaning."""
        self._known[entry.key] = entry
        if self._believable(entry):
            with search_folder(self._path.parent), self._path.open("a", encoding="utf-8") as file:
                table = asdict(entry)
                file.write(self._before + json.dumps({**table, _DIGEST: key_of(**table)}) + "\n")
            self._before = ""


class MeasurementFile:
    """What plans cost, by key.

    Args:
        path: of the file, which need not be there.
        metrics: what every measurement has a loss of.

    Raises:
        StorageError: the file cannot be read.
    """

    def __init__(self, path: Path, metrics: Collection[str]) -> None:
        self._metrics = set(metrics)
        self._entries = EntryFile(path, _Costs, self._believable)

    def _believable(self, entry: _Costs) -> bool:
        finite = all(abs(each) <= _LARGEST_LOSS for each in entry.losses.values())
        known = set(entry.errors) <= self._metrics
        spread = known and all(0 <= each <= _LARGEST_LOSS for each in entry.errors.values())
        return set(entry.losses) == self._metrics and 0 <= entry.distortion <= 1 and finite and spread

    def get(self, key: str) -> Measured | None:
        """The measurement of that key, where it is known."""
        from pocketrec.quantize.planner import Measured

        known = self._entries.get(key)
        if known is None:
            return None
        return Measured(losses=known.losses, distortion=known.distortion, errors=known.errors)

    def put(self, key: str, measured: Measured) -> None:
        """Writes the measurement to disk before it returns, unless it has no meaning."""
        self._entries.put(_Costs(key=key, **asdict(measured)))


def candidate_file(path: Path) -> EntryFile[Weighed]:
    """What is known of tensors in each form.

    Raises:
        StorageError: the file cannot be read.
    """
    return EntryFile(path, Weighed, _weighs)


def _weighs(entry: Weighed) -> bool:
    return min(entry.size_bytes or 0, *entry.limited, 0) >= 0 and 0 <= entry.noise < math.inf
