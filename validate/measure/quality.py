"""Quality: how well a model ranks or classifies the evaluation data, part by part.

data ─▶ parts of a fixed number of rows ─▶ runtimes ─▶ a few numbers per row ─▶ metrics of all rows

What is held of all rows together are 4 bytes for each place of the longest list and 8 for the held-out
item's, or 8 for a score and its label, and what `rows.py` keeps for parity, which has a limit. Where the
parts are cut depends on the data and the contract alone, so it changes nothing who examines which of them.
User embeddings are multiplied with the catalogue's, which the item-side function computes from the data's
catalogue.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Output
from pocketrec.errors import DataError, RecipeError
from pocketrec.evaluation import Arrays, ClassificationData, EvaluationData, RankingData, column_of
from pocketrec.foreign import torch_threads
from pocketrec.kept import Rows, key_of
from pocketrec.recipe import Evaluate
from pocketrec.validate.measure.machine import this_machine, tool_versions
from pocketrec.validate.measure.metrics.ranks import places_of
from pocketrec.validate.measure.ranking import (
    Floats,
    QualityRun,
    classification_metrics,
    ranking_metrics,
    top_k_ids,
)
from pocketrec.validate.measure.rows import CATALOGUE_ROW, KeptRows, kept_columns, most_columns
from pocketrec.validate.runtimes.fit import run_fitted
from pocketrec.validate.runtimes.runtime import Array, Runtime
from pocketrec.validate.runtimes.torch_runtime import current_threads
from pocketrec.workers import Workers

Runtimes = Mapping[str, Runtime]
Told = Callable[[int, int], None]  # how many parts are done, and of how many

_MOST_ROWS = 1024  # of a part: of a small catalogue, a score for each item takes a few MB
_MOST_SCORES = 1 << 25  # of a part, users × items: 128 MiB
_MOST_TASKS = 64
_KEPT, _CATALOGUE = "kept: ", "catalogue"  # names among the rows


def quality_of(
    evaluate: Evaluate,
    contract: Contract,
    runtimes: Runtimes,
    data: EvaluationData,
    *,
    workers: Workers | None = None,
    reopen: Callable[[], Runtimes] | None = None,
    keep: bool = False,
    identity: Callable[[], str | None] = lambda: None,
    tell: Told = lambda done, total: None,
) -> QualityRun:
    """The quality of a model given as one runtime per function.

    Where there is a folder for finished parts, and more than one part, they are kept in it and taken from it.

    Args:
        evaluate: on what, and of which output.
        contract: the model's contract.
        runtimes: what this process examines the data with.
        data: all of it is examined.
        workers: who examines it; this process alone by default.
        reopen: opens the runtimes in a worker.
        keep: whether to keep what parity on every row compares.
        identity: gives the digest of everything that decides what the runtimes give; None where it is not
            known, and no part is kept.
        tell: told how many parts are done.

    Raises:
        RecipeError: the output's meaning cannot be evaluated as the recipe says.
        DataError: the catalogue is missing, or an item is not in it.
    """
    workers = workers or Workers()
    opened = None
    if workers.alone or reopen is None:
        workers, opened = Workers(parts=workers.parts), runtimes
    job = Evaluation(
        evaluate=evaluate, contract=contract, data=data, open=reopen, keep=keep, _runtimes=opened
    )
    spans = job.spans()
    many = workers.parts is not None and len(spans) > 1
    key = job.key(identity()) if many else None
    try:
        rows = _whole(_told(workers.map_kept(job, spans, key), len(spans), tell), len(data))
    finally:
        workers.rest()  # the next model is another one, and what comes between needs the memory
    return job.label_run(rows) if "scores" in rows else job.ranking_run(rows)


@dataclass(kw_only=True)
class Evaluation:
    """What one model gives for rows of the evaluation data; it can be sent to another process."""

    evaluate: Evaluate
    contract: Contract
    data: EvaluationData
    open: Callable[[], Runtimes] | None
    keep: bool = False
    threads: int = field(default_factory=current_threads)
    size: int = field(init=False)  # rows of a part, decided once for all workers
    _runtimes: Runtimes | None = None
    _items: Floats | None = None

    def __post_init__(self) -> None:
        self.size = self._rows_of_part()

    def __call__(self, span: tuple[int, int]) -> Rows:
        """A few numbers for each of the rows from the first to before the second."""
        if self._runtimes is None:
            assert self.open is not None
            self._runtimes = self.open()
        with torch_threads(self.threads):  # as at home, so that sums are the same
            rows = _joined([self._part(each) for each in self.data.parts(self.size, *span)])
        if self.keep and self._items is not None:
            first, last = (len(self._items) * each // len(self.data) for each in span)
            rows = {**rows, _CATALOGUE: kept_columns(self._items[first:last], len(self._items))}
        return rows

    def key(self, identity: str | None) -> str | None:
        """The digest of everything that decides the rows of a span; None where the model's is not known."""
        asked = self.evaluate
        if identity is None:
            return None
        machine = this_machine()
        return key_of(
            model=identity,
            contract=self.contract.sha256(),
            data=self.data.sha256(),
            evaluate=[asked.kind, asked.function, asked.output, asked.longest, asked.user],
            catalogue=[asked.catalogue_function, asked.catalogue_output],
            cut=[self.size, self.keep, self.threads],
            tools=tool_versions(),
            machine=[machine.system, machine.processor, machine.python],
        )

    def label_run(self, rows: Rows) -> QualityRun:
        """The quality of all rows by their scores and labels."""
        meaning = self._output.meaning
        return QualityRun(
            metrics=classification_metrics(
                rows["scores"],
                rows["labels"],
                meaning=meaning,
                names=self.evaluate.names,
                users=rows.get("users"),
            ),
            examples=len(self.data),
            scores=rows["scores"],
            labels=rows["labels"],
            users=rows.get("users"),
            meaning=meaning,
            kept=self.kept(rows),
        )

    def known_run(self, values: Array) -> QualityRun:
        """The same by what is known already: a number for each row of the data, in order."""
        rows, first = [], 0
        for part in self.data.parts(self.size):
            rows.append(self._measured(values[first : first + len(part)], part))
            first += len(part)
        return self.label_run(_joined(rows))

    def ranking_run(self, rows: Rows) -> QualityRun:
        """The quality of all users by their lists and the places of their held-out items."""
        ks, names = self.evaluate.ks, self.evaluate.names
        return QualityRun(
            metrics=ranking_metrics(rows["places"], names=names, ks=ks),
            examples=len(self.data),
            top_k=rows["top_k"],
            ks=ks,
            places=rows["places"],
            kept=self.kept(rows),
        )

    def kept(self, rows: Rows) -> Mapping[str, KeptRows]:
        """What was kept of the rows of the evaluated function, and of the item-side one, by function."""
        if not self.keep:
            return {}
        outputs = {name.removeprefix(_KEPT): each for name, each in rows.items() if name.startswith(_KEPT)}
        most = most_columns(len(self.data), max(1, len(outputs)))
        whole = frozenset(name for name, each in outputs.items() if each.shape[1] < most)
        found = {self.evaluate.function: KeptRows(what="evaluation row", values=outputs, whole=whole)}
        if _CATALOGUE in rows:
            name = str(self.evaluate.catalogue_output)
            found[str(self.evaluate.catalogue_function)] = KeptRows(
                what=CATALOGUE_ROW, values={name: rows[_CATALOGUE]}, whole=frozenset()
            )
        return found

    def spans(self) -> list[tuple[int, int]]:
        """First row and end of every task; each is whole parts."""
        parts = -(-len(self.data) // self.size)
        step = self.size * -(-parts // _MOST_TASKS)
        return [(start, min(start + step, len(self.data))) for start in range(0, len(self.data), step)]

    def _rows_of_part(self) -> int:
        """Few where the catalogue is large."""
        if self.evaluate.kind == "classification":
            return _MOST_ROWS
        out = self._output
        known = [self.contract.vocabularies[out.vocabulary].size] if out.vocabulary else []
        known += [each for each in out.shape[-1:] if isinstance(each, int)]
        known += [len(each) for each in getattr(self.data, "catalogue", {}).values()]
        return max(1, min(_MOST_ROWS, _MOST_SCORES // max([1, *known])))

    @property
    def _output(self) -> Output:
        return self.contract.functions[self.evaluate.function].output(self.evaluate.output)

    def _part(self, data: RankingData | ClassificationData) -> Rows:
        outputs = self._run(self.evaluate.function, data.inputs, self.evaluate.output)
        rows = self._measured(outputs[self.evaluate.output], data)
        return {**rows, **self._kept(outputs, len(data))} if self.keep else rows

    def _kept(self, outputs: Mapping[str, Array], rows: int) -> Rows:
        """The columns of every output that has a row per example."""
        mine = [name for name, each in outputs.items() if each.ndim and len(each) == rows]
        return {_KEPT + name: kept_columns(outputs[name], len(self.data), len(mine)) for name in mine}

    def _measured(self, values: Array, data: RankingData | ClassificationData) -> Rows:
        if isinstance(data, ClassificationData):
            user = self.evaluate.user
            return {
                "scores": _one_per_row(values, data, self.evaluate.output),
                "labels": data.labels,
                **({} if user is None else {"users": column_of(data, user)}),
            }
        if self._output.meaning == "top_k_ids":
            items = _items(self.contract, self._output)
            _check_ids(data, items)
            return from_lists(values, data, items, self.evaluate.longest)
        scores = values.astype(np.float32)
        if self._output.meaning == "embedding":
            scores = scores @ self._catalogue(data, scores.shape[-1]).T
        candidates = _candidates(scores, data, self.evaluate.output)
        places = places_of(candidates, data.positives)
        return {"places": places, "top_k": top_k_ids(candidates, self.evaluate.longest)}

    def _run(self, function: str, inputs: Arrays, output: str) -> Mapping[str, Array]:
        """All outputs of the function, the named one among them."""
        runtimes = self._runtimes or {}
        if function not in runtimes:
            raise RecipeError(
                f"evaluate: function {function!r} has no artifact; known: {', '.join(runtimes)}"
            )
        signature = self.contract.functions[function]
        runtime = runtimes[function]
        rows = runtime.describe().rows
        asked = (runtime, self.contract, signature, inputs)
        values = run_fitted(*asked) if rows is None else run_fitted(*asked, rows=rows)
        if output not in values:
            raise DataError(f"function {function}: output {output!r} is missing; given: {', '.join(values)}")
        return values

    def _catalogue(self, data: RankingData, columns: int) -> Floats:
        """The embeddings of all items, computed once."""
        if self._items is not None:
            return self._items
        function, output = self.evaluate.catalogue_function, self.evaluate.catalogue_output
        if function is None or output is None:
            raise RecipeError(
                f"evaluate.output {self.evaluate.output!r} is an embedding; "
                "add evaluate.catalogue_function and evaluate.catalogue_output"
            )
        if not data.catalogue:
            raise DataError(
                "evaluation data has no catalogue; the item-side function needs one row per item id"
            )
        items = self._run(function, data.catalogue, output)[output].astype(np.float32)
        if items.shape[-1] != columns:
            raise RecipeError(f"user embeddings have {columns} columns, items have {items.shape[-1]}")
        self._items = items
        return items


def _told(parts: Iterable[Rows], total: int, tell: Told) -> Iterable[Rows]:
    tell(0, total)
    for done, rows in enumerate(parts, 1):
        yield rows
        tell(done, total)


def _whole(parts: Iterable[Rows], total: int) -> Rows:
    """Consecutive rows put together as they come, so that there is no second copy of them."""
    whole: dict[str, npt.NDArray[Any]] = {}
    catalogue, place = [], 0
    for rows in parts:
        count = len(next(iter(rows.values())))
        for name, array in rows.items():
            if name == _CATALOGUE:
                catalogue.append(array)
                continue
            if name not in whole:
                whole[name] = np.empty((total, *array.shape[1:]), array.dtype)
            elif array.dtype != whole[name].dtype:  # texts of another length
                whole[name] = whole[name].astype(np.result_type(array, whole[name]))
            whole[name][place : place + count] = array
        place += count
    return {**whole, **({_CATALOGUE: np.concatenate(catalogue)} if catalogue else {})}


def _joined(parts: Sequence[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _one_per_row(values: Array, data: ClassificationData, output: str) -> Floats:
    if values.size != len(data):
        raise RecipeError(f"evaluate.output {output!r} has shape {values.shape}; expected one number per row")
    return values.reshape(-1).astype(np.float32)


def _items(contract: Contract, out: Output) -> int:
    if out.vocabulary is None:
        raise RecipeError(f"output {out.name!r} holds ids of no vocabulary; add one to the contract")
    return contract.vocabularies[out.vocabulary].size


def from_lists(lists: Array, data: RankingData, items: int, k: int) -> Rows:
    """Places and lists of users from the ids that the model listed, the best first."""
    places = np.full(len(lists), np.inf)
    top_k = np.full((len(lists), k), -1, np.int32)
    ignored = set(data.ignored_ids)
    for user, row in enumerate(lists.astype(np.int64).tolist()):
        own, out = int(data.positives[user]), ignored.union(data.seen(user).tolist())
        kept = [each for each in row if 0 <= each < items and (each == own or each not in out)]
        if own in kept:
            places[user] = kept.index(own)
        top_k[user, : len(kept[:k])] = kept[:k]
    return {"places": places, "top_k": top_k}


def _check_ids(data: RankingData, items: int) -> None:
    """Checks that held-out and seen ids are among the items; DataError where one is not."""
    for name, ids in (("held-out item", data.positives), ("seen item", data.seen_ids)):
        outside = ids[(ids < 0) | (ids >= items)]
        if len(outside):
            raise DataError(
                f"evaluation data: {name} {int(outside[0])} is not among the {items} items; expected "
                f"ids from 0 to {items - 1}; correct the data, or the vocabulary"
            )


def _candidates(scores: Floats, data: RankingData, output: str) -> Floats:
    """A copy with -inf for what is not ranked; the held-out item always stays."""
    if scores.ndim != 2:
        raise RecipeError(f"evaluate.output {output!r}: shape {scores.shape}, expected users × items")
    users, items = scores.shape
    if users != len(data):
        raise DataError(f"{users} rows of scores for {len(data)} users")
    _check_ids(data, items)
    rows = np.arange(users)
    kept = scores[rows, data.positives]
    masked = scores.copy()
    masked[:, [each for each in data.ignored_ids if each < items]] = -np.inf
    masked[np.repeat(rows, np.diff(data.seen_offsets)), data.seen_ids] = -np.inf
    masked[rows, data.positives] = kept
    return masked
