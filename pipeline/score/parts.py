"""A part of the users scored: read, asked in batches, and packed, in whichever process the engine chose."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import get_ident
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pocketrec.errors import CallError, CheckFailed, DataError
from pocketrec.pipeline.score.lists import Lists, lists_of
from pocketrec.pipeline.score.users import Reader, Row, Users
from pocketrec.source.columns import pyarrow
from pocketrec.validate.runtimes.runtime import is_coarse

if TYPE_CHECKING:
    from pocketrec.package.host.answers import Answer
    from pocketrec.pipeline.app import Recommender

_MOST_NUMBERS = 1 << 24  # of the outputs of one batch: 64 MiB
_MOST_CALLS = 2048
_PROBED = 8  # users who are asked alone, too
_ALIKE, _ALIKE_COARSE = 1e-4, 1e-2  # of the largest number: what a batch may move one by, also in float16


@dataclass(slots=True, kw_only=True)
class Scorer:
    """What gives the table of some rows. It travels to workers, and opens the bundle where it first works.

    Attributes:
        bundle: its path.
        target: whose artifacts run.
        runtime: the engine.
        users: whose rows are asked for.
        method: which is called.
        options: arguments that every call has, such as k.
        batch: calls at once; None: as many as fit.
        metadata: of the table.
    """

    bundle: Path
    target: str
    runtime: str | None
    users: Users
    method: str
    options: Mapping[str, Any]
    batch: int | None
    metadata: Mapping[str, str] = field(default_factory=dict)
    _open: dict[int, tuple[Recommender, Reader]] = field(default_factory=dict)

    def hold(self, model: Recommender) -> None:
        """Takes an open bundle, for this thread."""
        self._open[get_ident()] = model, Reader(self.users)

    @property
    def model(self) -> Recommender:
        """The bundle, opened once in every thread that works."""
        if get_ident() not in self._open:
            from pocketrec.pipeline.app import load

            self.hold(load(self.bundle, target=self.target, runtime=self.runtime))
        return self._open[get_ident()][0]

    @property
    def lists(self) -> Lists:
        """How answers become columns."""
        call = self.model.check_method(self.method)
        return lists_of(self.model.contract, call, self.users.key, self.users.key_type, self.metadata)

    def close(self) -> None:
        """Releases the bundle, which must be before this travels."""
        while self._open:
            model, reader = self._open.popitem()[1]
            model.close()
            reader.close()

    def __call__(self, span: tuple[int, int]) -> dict[str, npt.NDArray[np.uint8]]:
        """The table of a span of rows, as the bytes of an Arrow file."""
        pa = pyarrow()
        lists, sink = self.lists, pa.BufferOutputStream()
        with pa.ipc.new_file(sink, lists.schema) as file:
            for first, rows in self._rows(span):
                answers = [self._answer(first + place, each) for place, each in enumerate(self._ask(rows))]
                file.write_table(lists.table([key for key, _ in rows], answers))
        return {"table": np.frombuffer(sink.getvalue(), np.uint8)}

    def _rows(self, span: tuple[int, int]) -> Iterator[tuple[int, list[Row]]]:
        """The users of a span, as many at a time as are asked at once."""
        vocabularies, size = self.model.vocabularies, self._size()
        for start, batch in self._open[get_ident()][1].span(span):
            for place in range(0, batch.num_rows, size):
                yield start + place, self.users.rows_of(batch.slice(place, size), vocabularies)

    def _size(self) -> int:
        """How many calls are made at once: few where every one has a score for a large catalogue."""
        contract = self.model.contract
        signature = contract.functions[self.model.check_method(self.method).function]
        numbers = sum(
            int(np.prod([contract.bounds(size)[1] for size in each.shape[1:]], dtype=np.int64))
            for each in signature.outputs
        )
        return self.batch or max(1, min(_MOST_CALLS, _MOST_NUMBERS // max(1, numbers)))

    def _ask(self, rows: list[Row]) -> list[Answer | CallError]:
        calls = [{**self.options, **arguments} for _, arguments in rows]
        if self.batch == 1:
            return [self._alone(each) for each in calls]
        return self.model.call_many(self.method, calls)

    def _alone(self, arguments: Mapping[str, Any]) -> Answer | CallError:
        return self.model.call_many(self.method, [arguments])[0]

    def _answer(self, row: int, answer: Answer | CallError) -> Answer:
        if isinstance(answer, CallError):
            raise DataError(f"{self.users.where(row)}: {answer}")
        return answer

    def check_alone(self) -> None:
        """Asks the first users in a batch and alone, and checks that both give the same.

        Raises:
            CheckFailed: what a user gets depends on who else is in the batch.
            DataError: one of them cannot be asked.
        """
        start, end = self.users.spans()[0]
        first, rows = next(self._rows((start, min(end, start + _PROBED))))
        tables = []
        for asked in (self._ask(rows), [self._ask([each])[0] for each in rows]):
            answers = [self._answer(first + place, each) for place, each in enumerate(asked)]
            tables.append(self.lists.table([key for key, _ in rows], answers))
        engine = self.model.engine(self.model.check_method(self.method).function)
        if not alike(tables[0], tables[1], _ALIKE_COARSE if is_coarse(engine.precision) else _ALIKE):
            raise CheckFailed(
                f"{self.bundle}: the first {len(rows)} users get other scores in a batch than alone, so the "
                "model looks from one row to the next; pass --batch 1"
            )


def alike(one: Any, other: Any, share: float) -> bool:
    """Whether two tables hold the same numbers, within a share of the largest in their column.

    Words are not compared, since items with scores that close may change places.
    """
    if one.equals(other):
        return True
    for name in one.schema.names:
        kind = pyarrow().types
        left, right = _flat(one[name]), _flat(other[name])
        if len(left) != len(right):
            return False
        if kind.is_floating(left.type):
            a, b = np.asarray(left, np.float64), np.asarray(right, np.float64)
            limit = share * np.abs(a[np.isfinite(a)]).max(initial=0)
            if not np.allclose(a, b, rtol=0, atol=limit, equal_nan=True):
                return False
    return True


def _flat(column: Any) -> Any:
    """All that stands in a column, whatever lists it is in."""
    import pyarrow.compute as pc

    values = column.combine_chunks()
    while pyarrow().types.is_list(values.type):
        values = pc.list_flatten(values)
    return values
