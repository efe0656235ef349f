"""The file that remembers what a plan costs, so that a search that was cut short goes on."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pocketrec.errors import PocketrecError, StorageError
from pocketrec.outside import read_file
from pocketrec.schema import from_table

if TYPE_CHECKING:
    from pocketrec.quantize.planner import Measured


_LARGEST = 1 << 30  # bytes of measurements; a search of a day makes a thousandth
_LARGEST_LOSS = 1e9  # of any metric; what is larger was written by hand
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


class MeasurementFile:
    """Measurements by content, one JSON line each; a line that is none is measured again.

    Args:
        path: of the file, which need not be there.
        metrics: what every measurement has a loss of.

    Raises:
        StorageError: the file cannot be read.
    """

    def __init__(self, path: Path, metrics: Collection[str]) -> None:
        self._path, self._metrics = path, set(metrics)
        self._known: dict[str, Measured] = {}
        with search_folder(path.parent):
            there = path.exists()  # a folder without permissions, too, is said as a search's
        data = read_file(path, largest=_LARGEST, error=StorageError, remedy=_MOVE) if there else b""
        text = data.decode("utf-8", errors="replace")
        self._before = "\n" if text and not text.endswith("\n") else ""  # a line that was cut off ends here
        for line in text.splitlines():
            self._take(line)

    def _take(self, line: str) -> None:
        try:
            entry = from_table(_Entry, json.loads(line), source=self._path.name)
        except (ValueError, RecursionError, PocketrecError):
            return
        from pocketrec.quantize.planner import Measured

        believable = all(abs(each) <= _LARGEST_LOSS for each in entry.losses.values())
        if set(entry.losses) == self._metrics and 0 <= entry.distortion <= 1 and believable:
            self._known[entry.key] = Measured(losses=entry.losses, distortion=entry.distortion)

    def get(self, key: str) -> Measured | None:
        """The measurement of that key, where it is known."""
        return self._known.get(key)

    def put(self, key: str, measured: Measured) -> None:
        """Writes the measurement to disk before it returns, unless it has no meaning."""
        self._known[key] = measured
        if math.isfinite(measured.distortion) and all(map(math.isfinite, measured.losses.values())):
            with search_folder(self._path.parent), self._path.open("a", encoding="utf-8") as file:
                file.write(self._before + json.dumps({"key": key, **asdict(measured)}) + "\n")
            self._before = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    """One line of the file."""

    key: str
    losses: Mapping[str, float]
    distortion: float
