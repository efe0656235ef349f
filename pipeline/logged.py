"""A log of rounds or of lists in a Parquet or Arrow file, and what it says of another policy.

columns of numbers ─▶ rounds ─▶ IPS, SNIPS, and with a model's predictions DR and SWITCH-DR
columns of lists   ─▶ lists  ─▶ slate IPS, RIPS, and with marginal probabilities IIPS and PI
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import DataError
from pocketrec.source.columns import bad_value, lists_of, numbers_of, pyarrow, read_rows, schema_of
from pocketrec.validate.experiments.estimates import (
    Asked,
    Estimate,
    NoEstimate,
    estimate_log,
    estimate_slates,
)
from pocketrec.validate.experiments.propensity import LIMITS, Log, check_numbers

Doubles = npt.NDArray[np.float64]
Ids = npt.NDArray[np.int64]

REQUIRED = ("reward", "propensity", "target")
BOTH = ("unsupported", "unit")
ROUNDS = ("predicted", "expected")
LISTS = ("marginal_propensity", "marginal_target")
_KIND = {  # of a column: the array whose limits it has
    "reward": "rewards",
    "propensity": "propensities",
    "target": "targets",
    "marginal_propensity": "propensities",
    "marginal_target": "targets",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Logged:
    """What a log says of the judged policy.

    Attributes:
        rows: rounds or lists.
        positions: of every list; None for rounds.
        earned: the mean reward of the log's own policy, a round or a list.
        estimates: by every estimator that the columns allow.
        not_run: estimator to the columns that it lacks.
    """

    rows: int
    positions: int | None
    earned: float
    estimates: tuple[Estimate | NoEstimate, ...]
    not_run: Mapping[str, str]


def read_logged(path: Path, asked: Asked) -> Logged:
    """The estimates from the log at `path`, a .parquet, .arrow or .feather file.

    Raises:
        DataError: a column is missing, or a row holds what it cannot; names column, row, value.
    """
    columns = _Columns(path)
    if columns.holds_lists("reward"):
        return _lists(columns, asked)
    return _rounds(columns, asked)


def _rounds(columns: _Columns, asked: Asked) -> Logged:
    columns.require(ROUNDS, without=LISTS)
    log = Log(
        rewards=columns.needed("reward"),
        propensities=columns.needed("propensity"),
        targets=columns.needed("target"),
        predicted=columns.numbers("predicted"),
        expected=columns.numbers("expected"),
        units=columns.units(),
        unsupported=columns.flat("unsupported"),
    )
    lacking = "no columns 'predicted' and 'expected'"
    return Logged(
        rows=len(log.rewards),
        positions=None,
        earned=float(log.rewards.mean()),
        estimates=estimate_log(log, asked),
        not_run={} if log.predicted is not None else dict.fromkeys(("dr", "switch-dr"), lacking),
    )


def _lists(columns: _Columns, asked: Asked) -> Logged:
    columns.require(LISTS, without=ROUNDS)
    rewards = columns.needed("reward")
    conditional = columns.needed("target") / columns.needed("propensity")
    above, below = columns.numbers("marginal_target"), columns.numbers("marginal_propensity")
    marginal = None if above is None or below is None else above / below
    found = estimate_slates(
        rewards,
        conditional=conditional,
        marginal=marginal,
        units=columns.units(),
        unsupported=columns.flat("unsupported"),
        asked=asked,
    )
    lacking = "no columns 'marginal_propensity' and 'marginal_target'"
    return Logged(
        rows=len(rewards),
        positions=rewards.shape[1],
        earned=float(rewards.sum(1).mean()),
        estimates=found,
        not_run={} if marginal is not None else dict.fromkeys(("iips", "pi"), lacking),
    )


class _Columns:
    """The columns of a log that are there, each read once."""

    def __init__(self, path: Path) -> None:
        schema, rows = schema_of(path)
        self._path, self._types = path, {name: schema.field(name).type for name in schema.names}
        missing = [each for each in REQUIRED if each not in self._types]
        if missing:
            raise DataError(
                f"{path}: column {missing[0]!r} is missing; it has {', '.join(self._types)}, and needs "
                f"{', '.join(REQUIRED)}"
            )
        if not rows:
            raise DataError(f"{path}: no rows; expected a row for each round that was logged")
        known = [each for each in (*REQUIRED, *BOTH, *ROUNDS, *LISTS) if each in self._types]
        table = pyarrow().Table.from_batches(list(read_rows(path, known, 0)))
        self._table = {name: table[name].combine_chunks() for name in known}
        self._shape = self._read("reward").shape

    def require(self, names: Sequence[str], *, without: Sequence[str]) -> None:
        """Checks that of columns that belong together all are there or none, and none of the other kind."""
        for name in without:
            if name in self._table:
                kind = "whole lists" if self.holds_lists("reward") else "rounds"
                raise DataError(
                    f"{self._path}: column {name!r} says nothing in a log of {kind}; leave it out"
                )
        there = [each for each in names if each in self._table]
        if there and len(there) < len(names):
            other = next(each for each in names if each not in there)
            raise DataError(f"{self._path}: column {there[0]!r} without {other!r}; expected both, or neither")

    def holds_lists(self, name: str) -> bool:
        """Whether a column holds a list in every row."""
        return bool(pyarrow().types.is_nested(self._types[name]))

    def needed(self, name: str) -> Doubles:
        """The numbers of a column that is there, of the shape that the rewards have."""
        return self._checked(name, self._read(name), self._shape)

    def numbers(self, name: str) -> Doubles | None:
        """The numbers of a column, None where it is not there."""
        return self.needed(name) if name in self._table else None

    def flat(self, name: str) -> Doubles | None:
        """One number a row, None where the column is not there."""
        if name not in self._table:
            return None
        values = numbers_of(self._table[name], name, "float64", self._where)
        return self._checked(name, values, self._shape[:1])

    def _checked(self, name: str, values: Doubles, shape: tuple[int, ...]) -> Doubles:
        check_numbers(f"{self._path}: column {name!r}", values, shape, LIMITS[_KIND.get(name, name)])
        return values

    def units(self) -> Ids | None:
        """Each row's unit as a number, None where there is no such column."""
        if "unit" not in self._table:
            return None
        column = self._table["unit"]
        if column.null_count:
            row = int(np.argmax(np.asarray(column.is_null())))
            raise bad_value("unit", self._where(row), "is null", "who the row belongs to")
        codes = column.dictionary_encode().indices
        return np.asarray(codes).astype(np.int64)

    def _where(self, row: int) -> str:
        return f"{self._path}: row {row}"

    def _read(self, name: str) -> Doubles:
        where: Callable[[int], str] = self._where
        column: Any = self._table[name]
        if not self.holds_lists("reward"):
            return numbers_of(column, name, "float64", where)
        values, lengths = lists_of(column, name, "float64", where)
        wrong = np.flatnonzero(lengths != lengths[0])
        if len(wrong) or not lengths[0]:
            row = int(wrong[0]) if len(wrong) else 0
            expected = f"{lengths[0]}, as row 0" if lengths[0] else "one or more"
            raise bad_value(name, where(row), f"has {lengths[row]} positions", expected)
        return values.reshape(len(lengths), -1)
