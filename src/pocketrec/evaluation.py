"""Evaluation data: what a recipe's data factory returns, and what probes and metrics read.

Padded arrays keyed by the contract's input names; the first axis runs over examples.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, Self

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Signature
from pocketrec.errors import DataError
from pocketrec.kept import arrays_sha256, key_of
from pocketrec.recipe import Evaluate

Array = npt.NDArray[np.generic]
Arrays = Mapping[str, Array]
Ids = npt.NDArray[np.int64]


def _no_ids() -> Ids:
    return np.zeros(0, np.int64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """One set of inputs of a function, with a name that a report can show."""

    name: str
    inputs: Arrays


@dataclass(frozen=True, slots=True, kw_only=True)
class FarProbe:
    """A probe far from the example, and what the module gives for it.

    Attributes:
        probe: its name and inputs.
        expected: the module's outputs.
        scaled: whether real numbers are of another magnitude than the example's.
    """

    probe: Probe
    expected: Arrays
    scaled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FarProbes:
    """The probes that can be compared, and why the others cannot, by name."""

    probes: tuple[FarProbe, ...]
    left_out: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankingData:
    """Users with one held-out positive each, ranked against the full catalogue.

    Attributes:
        inputs: the evaluated function's inputs, `[users, ...]`.
        positives: held-out item id of each user, int64 `[users]`.
        seen_ids: ids to leave out of each user's list, concatenated, int64; none by default.
        seen_offsets: where each user's ids begin in `seen_ids`, and their end, int64 `[users + 1]`;
            left out where nothing was seen.
        catalogue: inputs of the item-side function, one row per item id; empty where the
            evaluated function scores the whole catalogue by itself.
        ignored_ids: ids that are no items (padding, unknown) and never ranked.
        columns: what else is known of each user, a number or a text, `[users]`, by name, for slices.
    """

    inputs: Arrays
    positives: Ids
    seen_ids: Ids = field(default_factory=_no_ids)
    seen_offsets: Ids = field(default_factory=_no_ids)
    catalogue: Arrays = field(default_factory=dict)
    ignored_ids: tuple[int, ...] = (0,)
    columns: Arrays = field(default_factory=dict)

    def __post_init__(self) -> None:
        put = object.__setattr__
        put(self, "positives", _ids("positives", self.positives))
        put(self, "catalogue", {} if self.catalogue is None else self.catalogue)
        put(self, "inputs", _arrays("input", self.inputs, len(self.positives), "positives"))
        put(self, "catalogue", _arrays("catalogue input", self.catalogue, None, "its first input"))
        put(self, "columns", _columns(self.columns, len(self.positives)))
        put(self, "seen_ids", _ids("seen_ids", self.seen_ids))
        given = _ids("seen_offsets", self.seen_offsets)
        if not len(given) and not len(self.seen_ids):
            given = np.zeros(len(self.positives) + 1, np.int64)
        put(self, "seen_offsets", given)
        put(self, "ignored_ids", tuple(_ids("ignored_ids", self.ignored_ids).tolist()))
        self._check_offsets()
        wrong = [each for each in self.ignored_ids if each < 0]
        if wrong:
            raise DataError(f"ignored_ids: {wrong[0]} is no id; expected 0 or more, such as (0,) for padding")

    def _check_offsets(self) -> None:
        """Checks that the offsets cut `seen_ids` into one piece per user, in order and to its end."""
        offsets, users = self.seen_offsets, len(self.positives)
        if len(offsets) != users + 1:
            raise DataError(
                f"seen_offsets: {len(offsets)} entries for {users} users; expected {users + 1}: where each "
                "user's ids begin, and the end; RankingData.from_lists takes a list per user"
            )
        if offsets[0] != 0 or offsets[-1] != len(self.seen_ids):
            raise DataError(
                f"seen_offsets: from {offsets[0]} to {offsets[-1]}; expected 0 to {len(self.seen_ids)}, "
                "as many as seen_ids has"
            )
        falls = np.flatnonzero(np.diff(offsets) < 0)
        if len(falls):
            user = int(falls[0])
            raise DataError(
                f"seen_offsets: user {user} begins at {offsets[user]} and ends at {offsets[user + 1]}; "
                "expected offsets that never decrease"
            )

    @classmethod
    def from_lists(
        cls,
        *,
        inputs: Mapping[str, Sequence[Any]],
        positives: Sequence[int],
        seen: Sequence[Sequence[int]] = (),
        catalogue: Mapping[str, Sequence[Any]] | None = None,
        ignored_ids: Sequence[int] = (0,),
        length: int | None = None,
        padding_id: int = 0,
        padding_side: Literal["left", "right"] = "left",
        columns: Mapping[str, Sequence[Any]] | None = None,
    ) -> Self:
        """The data from plain lists, one entry per user; histories may be of any length.

        Args:
            inputs: by name, one entry per user: a number, a list of ids, or the numbers of a feature, as many
                for each, which a fraction in any of them, or a list in it, tells from ids.
            positives: the held-out item of each user.
            seen: the items that each user has had; nothing by default.
            catalogue: the item-side function's inputs, one entry per item id.
            ignored_ids: ids that are no items.
            length: of every list of ids: longer ones keep their last ids; by default that of the longest.
            padding_id: what shorter lists are filled with.
            padding_side: where.
            columns: what else is known of each user, by name.

        Raises:
            DataError: a list is of something else than numbers, there are not as many as users, a feature has
                more numbers for one user than for another, or `length` or `padding_side` is none.
        """

        def array(name: str, rows: Sequence[Any]) -> Array:
            return _padded(name, rows, length, padding_id, padding_side)

        _check_lists(seen, len(positives), length, padding_side)
        sizes = [len(each) for each in seen] or [0] * len(positives)
        return cls(
            inputs={name: array(name, rows) for name, rows in inputs.items()},
            positives=_ids("positives", positives),
            seen_ids=_ids("seen", [each for row in seen for each in row]),
            seen_offsets=np.cumsum([0, *sizes], dtype=np.int64),
            catalogue={name: array(name, rows) for name, rows in (catalogue or {}).items()},
            ignored_ids=tuple(ignored_ids),
            columns={name: np.asarray(each) for name, each in (columns or {}).items()},
        )

    def __len__(self) -> int:
        return len(self.positives)

    def sha256(self) -> str:
        """The digest of everything in it."""
        own = {"positives": self.positives, "seen_ids": self.seen_ids, "seen_offsets": self.seen_offsets}
        tables = [arrays_sha256(each) for each in (own, self.inputs, self.catalogue, self.columns)]
        return key_of(ranking=tables, ignored_ids=self.ignored_ids)

    def seen(self, user: int) -> Ids:
        """Item ids that user number `user` has had, int64 `[n]`."""
        return self.seen_ids[self.seen_offsets[user] : self.seen_offsets[user + 1]]

    def sample(self) -> RankingData:
        """The data itself: it is in memory."""
        return self

    def parts(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[RankingData]:
        """The users from `start` to `stop`, at most `size` at a time, in order."""
        for first, last in cuts(size, start, len(self) if stop is None else stop):
            offsets = self.seen_offsets[first : last + 1]
            yield RankingData(
                inputs={name: array[first:last] for name, array in self.inputs.items()},
                positives=self.positives[first:last],
                seen_ids=self.seen_ids[offsets[0] : offsets[-1]],
                seen_offsets=offsets - offsets[0],
                catalogue=self.catalogue,
                ignored_ids=self.ignored_ids,
                columns={name: array[first:last] for name, array in self.columns.items()},
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassificationData:
    """Examples with a binary label, for AUC and log loss.

    Attributes:
        inputs: the evaluated function's inputs, `[examples, ...]`.
        labels: 0 or 1, float32 `[examples]`.
        columns: what else is known of each example, a number or a text, `[examples]`, by name, for slices.
    """

    inputs: Arrays
    labels: npt.NDArray[np.float32]
    columns: Arrays = field(default_factory=dict)

    def __post_init__(self) -> None:
        labels = _numbers("labels", self.labels).astype(np.float32)
        if labels.ndim != 1:
            raise DataError(f"labels: shape {list(labels.shape)}; expected one number per example")
        object.__setattr__(self, "labels", labels)
        object.__setattr__(self, "inputs", _arrays("input", self.inputs, len(labels), "labels"))
        object.__setattr__(self, "columns", _columns(self.columns, len(labels)))
        wrong = np.flatnonzero((labels != 0) & (labels != 1))
        if len(wrong):
            raise DataError(f"labels: row {wrong[0]} is {labels[wrong[0]]:g}; expected 0 or 1")

    def __len__(self) -> int:
        return len(self.labels)

    def sha256(self) -> str:
        """The digest of everything in it."""
        tables = [arrays_sha256(each) for each in ({"labels": self.labels}, self.inputs, self.columns)]
        return key_of(classification=tables)

    def sample(self) -> ClassificationData:
        """The data itself: it is in memory."""
        return self

    def parts(self, size: int, start: int = 0, stop: int | None = None) -> Iterator[ClassificationData]:
        """The examples from `start` to `stop`, at most `size` at a time, in order."""
        for first, last in cuts(size, start, len(self) if stop is None else stop):
            inputs = {name: array[first:last] for name, array in self.inputs.items()}
            columns = {name: array[first:last] for name, array in self.columns.items()}
            yield ClassificationData(inputs=inputs, labels=self.labels[first:last], columns=columns)


class EvaluationData(Protocol):
    """Evaluation data of either kind, in memory or in files."""

    def __len__(self) -> int: ...

    def sha256(self) -> str:
        """The digest of everything in it, or of the files that it is read from, byte for byte.

        Whether two evaluations are of the same examples is another question: `validate/measure/digest.py`.
        """
        ...

    def sample(self) -> RankingData | ClassificationData:
        """Some rows; all of them where they are in memory."""
        ...

    def parts(
        self, size: int, start: int = 0, stop: int | None = None
    ) -> Iterator[RankingData | ClassificationData]:
        """The rows from `start` to `stop`, at most `size` at a time, in order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One evaluation of a recipe, with its data.

    Attributes:
        evaluate: what is measured.
        data: on which it is.
        name: by which gates and reports say which of several it is; empty where there is but one.
    """

    evaluate: Evaluate
    data: EvaluationData
    name: str = ""


def sample_for(signature: Signature, data: Sequence[EvaluationData]) -> RankingData | ClassificationData:
    """Some rows of the first data that have all inputs of a function, or of the first where none have."""
    samples = [each.sample() for each in data]
    for each in samples:
        sides = [each.inputs, each.catalogue] if isinstance(each, RankingData) else [each.inputs]
        if any(all(one.name in side for one in signature.inputs) for side in sides):
            return each
    return samples[0]


def inputs_for(signature: Signature, data: Sequence[EvaluationData]) -> Arrays | None:
    """Inputs of a function in the data, of its queries or of its catalogue; None where it has none."""
    sample = sample_for(signature, data)
    sources = [sample.inputs, *([sample.catalogue] if isinstance(sample, RankingData) else [])]
    return next((each for each in sources if all(one.name in each for one in signature.inputs)), None)


def _numbers(name: str, values: Any) -> npt.NDArray[Any]:
    """The values as an array of numbers; DataError where they are ragged, or something else."""
    try:
        array = np.asarray(values)
    except ValueError:
        raise DataError(
            f"{name}: its rows are of different lengths; pad them to one, as RankingData.from_lists does"
        ) from None
    if array.dtype.kind not in "iufb":
        raise DataError(f"{name}: holds {array.dtype}; expected numbers")
    return array


def _ids(name: str, values: Any) -> Ids:
    """The values as int64 `[n]`; DataError where one is no whole number."""
    given = sorted(values) if isinstance(values, set | frozenset) else values
    try:
        count = len(given)
    except TypeError:
        what = type(values).__name__
        raise DataError(f"{name} is a {what}; expected a list or an array of whole numbers") from None
    array = _numbers(name, given) if count else _no_ids()
    if array.ndim != 1:
        raise DataError(f"{name}: shape {list(array.shape)}; expected one axis")
    with np.errstate(invalid="ignore"):  # what is no whole number is told below
        ids = array.astype(np.int64)
    wrong = np.flatnonzero(ids != array)
    if len(wrong):
        raise DataError(f"{name}: entry {wrong[0]} is {array[wrong[0]]}; expected whole numbers")
    return ids


def _arrays(kind: str, given: Arrays, rows: int | None, against: str) -> dict[str, Array]:
    """The arrays, all with that many rows, or as many as the first."""
    if not isinstance(given, Mapping):
        what = type(given).__name__
        raise DataError(f"evaluation {kind}s are a {what}; expected a dict of arrays by input name")
    if kind == "input" and rows == 0:
        raise DataError(f"evaluation data has no examples ({against} is empty)")
    arrays = {name: _numbers(f"evaluation {kind} {name}", each) for name, each in given.items()}
    for name, array in arrays.items():
        if rows is None and array.ndim:
            rows = len(array)
        if array.ndim == 0 or len(array) != rows:
            count = len(array) if array.ndim else "no"
            raise DataError(f"evaluation {kind} {name}: {count} rows, but {against} has {rows}")
    return arrays


def _columns(given: Arrays, rows: int) -> dict[str, Array]:
    """The columns as arrays of numbers or texts, one for each of so many examples."""
    if not isinstance(given, Mapping):
        raise DataError(f"columns are a {type(given).__name__}; expected a dict of arrays by name")
    found = {name: np.asarray(each) for name, each in given.items()}
    for name, array in found.items():
        if array.shape != (rows,) or array.dtype.kind not in "iufbU":
            raise DataError(
                f"column {name}: {array.dtype} of shape {list(array.shape)}; expected a number or a text for "
                f"each of {rows} examples"
            )
    return found


def column_of(data: RankingData | ClassificationData, name: str) -> Array:
    """A column, or an input of one number per example, `[examples]`; DataError names those that there are."""
    if name in data.columns:
        return data.columns[name]
    flat = {key: each.reshape(-1) for key, each in data.inputs.items() if each.size == len(data)}
    if name not in flat:
        known = ", ".join([*data.columns, *flat]) or "none"
        raise DataError(f"evaluation data: no column {name!r} of one value per example; there are: {known}")
    return flat[name]


def _check_lists(seen: Sequence[Any], users: int, length: object, side: object) -> None:
    """Checks what lists are filled up to and where, and that there is one of each user or none."""
    if length is not None and not (isinstance(length, int | np.integer) and length >= 1):
        raise DataError(f"length is {length!r}; expected a whole number from 1, or None")
    if side not in ("left", "right"):
        raise DataError(f"padding_side is {side!r}; expected 'left' or 'right'")
    if len(seen) not in (0, users):
        raise DataError(f"seen: {len(seen)} lists for {users} users; expected one each, or none")
    for place, each in enumerate(seen):
        if not isinstance(each, Sequence | np.ndarray):
            raise DataError(f"seen: entry {place} is {each!r}; expected a list of ids, which may be empty")


def _padded(
    name: str, rows: Sequence[Any], length: int | None, padding_id: int, side: Literal["left", "right"]
) -> Array:
    """Rows of one number or of a feature's as they are; lists of ids cut to their last, and filled up."""
    if not any(isinstance(each, Sequence | np.ndarray) and not isinstance(each, str) for each in rows):
        return _numbers(name, rows)
    arrays = _rows(name, rows)
    if any(map(_is_feature, arrays)):
        return _features(name, arrays)
    size = max(1, max(len(each) for each in arrays)) if length is None else length
    filled = np.full((len(rows), size), padding_id, np.int64)
    for target, row in zip(filled, arrays, strict=True):
        recent = _ids(name, row[len(row) - min(size, len(row)) :])
        place = slice(size - len(recent), size) if side == "left" else slice(len(recent))
        target[place] = recent
    return filled


def _is_feature(array: Array) -> bool:
    """Whether a row holds a fraction, or rows of its own, so that it is no list of ids."""
    fractions = array.dtype.kind == "f" and bool((np.isfinite(array) & (array != np.trunc(array))).any())
    return array.ndim > 1 or fractions


def _rows(name: str, rows: Sequence[Any]) -> list[Array]:
    """Each row as an array; DataError where one holds lists of several lengths, or what is no list."""
    found = []
    for place, row in enumerate(rows):
        try:
            found.append(np.asarray(row))
        except ValueError:
            raise DataError(
                f"{name}: row {place} holds lists of several lengths; pass as many numbers in each"
            ) from None
        if not found[-1].ndim:
            raise DataError(f"{name}: row {place} is {row!r}, and others are lists; expected lists alone")
    return found


def _features(name: str, rows: Sequence[Array]) -> Array:
    """Rows of numbers that are no ids, which nothing can fill up."""
    wrong = next((place for place, each in enumerate(rows) if each.shape != rows[0].shape), None)
    if wrong is not None:
        first, other = list(rows[0].shape), list(rows[wrong].shape)
        raise DataError(
            f"{name}: row 0 is of shape {first}, row {wrong} of {other}; pass as many numbers in each row: "
            "only lists of ids, which are whole numbers, are filled up"
        )
    return _numbers(name, np.stack(rows))


def cuts(size: int, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """The first row and the end of consecutive parts of at most `size` rows."""
    return ((first, min(first + size, stop)) for first in range(start, stop, size))


def batches(inputs: Arrays, size: int) -> Iterator[dict[str, Array]]:
    """Consecutive slices of at most `size` rows of every array, in order."""
    rows = len(next(iter(inputs.values())))
    for start in range(0, rows, size):
        yield {name: array[start : start + size] for name, array in inputs.items()}
