"""Evaluation data in Parquet or Arrow files, of which a few rows are held at a time.

A column per input, named as in the contract; lists for sequences and bags, which are filled up with
the contract's padding. Beside them for ranking `positive`, the held-out id, and if there is one
`seen`, the list of ids to leave out; for classification `label`, or the column that the recipe names, 0 or 1.
Slices are cut by any other column.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Feature
from pocketrec.errors import DataError, RecipeError
from pocketrec.evaluation import Arrays, ClassificationData, RankingData, cuts
from pocketrec.kept import arrays_sha256, key_of, path_sha256
from pocketrec.recipe import Evaluate
from pocketrec.source.columns import (
    Column,
    bad_value,
    input_of,
    lists_of,
    numbers_of,
    paths_of,
    pyarrow,
    read_rows,
    schema_of,
    values_of,
)

Array = npt.NDArray[Any]

POSITIVE, SEEN, LABEL = "positive", "seen", "label"
_SAMPLE_ROWS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class TableData:
    """Evaluation data in files, read part by part; it is sent to workers as paths.

    Attributes:
        paths: in the order of the rows.
        rows: of each file.
        kind: as in the recipe.
        columns: what becomes inputs.
        has_seen: whether there is a column of ids to leave out.
        catalogue: as in RankingData.
        ignored_ids: as in RankingData.
        beside: columns that are no inputs, by which slices are cut.
        label: the column of labels.
    """

    paths: tuple[Path, ...]
    rows: tuple[int, ...]
    kind: Literal["ranking", "classification"]
    columns: tuple[Column, ...]
    has_seen: bool = False
    catalogue: Arrays
    ignored_ids: tuple[int, ...]
    beside: tuple[str, ...] = ()
    label: str = LABEL

    def __len__(self) -> int:
        return sum(self.rows)

    def sha256(self) -> str:
        """The digest of the files' bytes, and of how they are read."""
        columns = [(each.name, each.dtype, each.shape, each.fill, each.left) for each in self.columns]
        return key_of(
            files=[path_sha256(each) for each in self.paths],
            read=[self.kind, columns, self.has_seen, self.ignored_ids, self.beside, self.label],
            catalogue=arrays_sha256(self.catalogue),
        )

    def sample(self) -> RankingData | ClassificationData:
        """The first rows."""
        return next(self.parts(_SAMPLE_ROWS))

    def parts(
        self, size: int, start: int = 0, stop: int | None = None
    ) -> Iterator[RankingData | ClassificationData]:
        """The rows from `start` to `stop`, at most `size` at a time, in order, wherever a file ends.

        Raises:
            DataError: a value does not fit the contract; names column and row.
        """
        pa = pyarrow()
        batches = self._batches(start)
        held = pa.Table.from_batches([next(batches)])
        for first, last in cuts(size, start, len(self) if stop is None else stop):
            while held.num_rows < last - first:
                held = pa.concat_tables([held, pa.Table.from_batches([next(batches)])])
            yield self._decoded(held.slice(0, last - first).combine_chunks(), first)
            held = held.slice(last - first)

    def _batches(self, start: int) -> Iterator[Any]:
        """Batches of rows from row `start` to the end."""
        names = [each.name for each in self.columns]
        names += self.beside
        names += (
            [self.label] if self.kind == "classification" else [POSITIVE, *([SEEN] if self.has_seen else [])]
        )
        for path, rows in zip(self.paths, self.rows, strict=True):
            if start < rows:
                yield from read_rows(path, names, start)
            start = max(0, start - rows)

    def _place(self, row: int) -> str:
        """The file that holds a row, and the row's number in it."""
        number = row
        for path, rows in zip(self.paths, self.rows, strict=True):
            if number < rows:
                return f"{path}: row {number}"
            number -= rows
        return f"{self.paths[-1]}: row {row}"

    def _decoded(self, table: Any, first: int) -> RankingData | ClassificationData:
        def where(row: int) -> str:
            return self._place(first + row)

        inputs = {each.name: input_of(table[each.name], each, where) for each in self.columns}
        beside = {name: values_of(table[name], name) for name in self.beside}
        if self.kind == "classification":
            labels = numbers_of(table[self.label], self.label, "float32", where)
            wrong = np.flatnonzero((labels != 0) & (labels != 1))
            if len(wrong):
                raise bad_value(self.label, where(int(wrong[0])), f"is {labels[wrong[0]]:g}", "0 or 1")
            return ClassificationData(inputs=inputs, labels=labels, columns=beside)
        positives = numbers_of(table[POSITIVE], POSITIVE, "int64", where)
        if (positives < 0).any():
            row = int(np.argmax(positives < 0))
            raise bad_value(POSITIVE, where(row), f"is {positives[row]}", "an item's id")
        seen, offsets = np.zeros(0, np.int64), np.zeros(len(positives) + 1, np.int64)
        if self.has_seen:
            seen, lengths = lists_of(table[SEEN], SEEN, "int64", where)
            offsets[1:] = np.cumsum(lengths)
        return RankingData(
            inputs=inputs,
            positives=positives,
            seen_ids=seen,
            seen_offsets=offsets,
            catalogue=self.catalogue,
            ignored_ids=self.ignored_ids,
            columns=beside,
        )


def open_tables(evaluate: Evaluate, contract: Contract, base: Path) -> TableData:
    """The evaluation data in the files that a recipe names; only their schemas are read.

    Raises:
        RecipeError: `evaluate.data` names no file, or has arguments, which are a factory's.
        DataError: a column is missing, or files differ in their columns; names file and column.
        MissingExtra: pyarrow is not installed.
    """
    if evaluate.arguments:
        raise RecipeError("evaluate.arguments are a factory's; data in files takes none, leave them out")
    paths = paths_of(evaluate.data, base, "evaluate.data")
    schemas = [schema_of(path) for path in paths]
    for path, (schema, _) in zip(paths, schemas, strict=True):
        if not schema.equals(schemas[0][0]):
            raise DataError(f"{path}: its columns are not those of {paths[0].name}; write all files alike")
    if not sum(rows for _, rows in schemas):
        raise DataError(f"{paths[0]}: has no rows; write the evaluation data again")
    twice = [each for each, count in Counter(schemas[0][0].names).items() if count > 1]
    if twice:
        raise DataError(f"{paths[0]}: has two columns {twice[0]!r}; rename one")
    names, features = set(schemas[0][0].names), _features(evaluate, contract)
    required = [each.name for each in contract.functions[evaluate.function].inputs]
    label = evaluate.label or LABEL
    required += [POSITIVE if evaluate.kind == "ranking" else label, *evaluate.columns]
    lacking = [each for each in required if each not in names]
    if lacking:
        raise DataError(f"{paths[0]}: lacks the column {lacking[0]!r}; it has {', '.join(sorted(names))}")
    return TableData(
        paths=tuple(each.resolve() for each in paths),
        rows=tuple(rows for _, rows in schemas),
        kind=evaluate.kind,
        columns=tuple(_column(each, contract) for name, each in features.items() if name in names),
        has_seen=SEEN in names and evaluate.kind == "ranking",
        catalogue=_catalogue(evaluate, contract, base),
        ignored_ids=_ignored(evaluate, contract),
        beside=tuple(name for name in evaluate.columns if name not in features),
        label=label,
    )


def _features(evaluate: Evaluate, contract: Contract) -> dict[str, Feature]:
    """The inputs of all functions by name, as the evaluated function has them where it does."""
    evaluated = contract.functions[evaluate.function]
    everything = (
        *evaluated.inputs,
        *(each for other in contract.functions.values() for each in other.inputs),
    )
    found: dict[str, Feature] = {}
    for each in everything:
        found.setdefault(each.name, each)
    return found


def _column(feature: Feature, contract: Contract) -> Column:
    fill = contract.padding_value(feature) if feature.padding_side is not None else None
    return Column(
        name=feature.name,
        dtype=feature.dtype,
        shape=tuple(contract.bounds(size)[1] for size in feature.shape[1:]),
        fill=fill,
        left=feature.padding_side == "left",
    )


def _catalogue(evaluate: Evaluate, contract: Contract, base: Path) -> Arrays:
    """The item-side function's inputs, one row per id, where the recipe names a file of them."""
    if evaluate.catalogue is None:
        return {}
    assert evaluate.catalogue_function is not None
    columns = [_column(each, contract) for each in contract.functions[evaluate.catalogue_function].inputs]
    paths = paths_of(evaluate.catalogue, base, "evaluate.catalogue")
    lacking = [each.name for each in columns if each.name not in schema_of(paths[0])[0].names]
    if lacking:
        raise DataError(f"{paths[0]}: lacks the column {lacking[0]!r}; the item-side function takes it")
    parts: list[Mapping[str, Array]] = []
    pa = pyarrow()
    for path in paths:
        start = 0
        for batch in read_rows(path, [each.name for each in columns], 0):
            table, where = pa.Table.from_batches([batch]), partial(_row_of, path, start)
            parts.append({each.name: input_of(table[each.name], each, where) for each in columns})
            start += batch.num_rows
    return {each.name: np.concatenate([part[each.name] for part in parts]) for each in columns}


def _row_of(path: Path, start: int, row: int) -> str:
    return f"{path}: row {start + row}"


def _ignored(evaluate: Evaluate, contract: Contract) -> tuple[int, ...]:
    """The padding and unknown ids of the vocabulary that is ranked."""
    names = [contract.functions[evaluate.function].output(evaluate.output).vocabulary]
    if evaluate.catalogue_function is not None:
        names += [each.vocabulary for each in contract.functions[evaluate.catalogue_function].inputs]
    name = next((each for each in names if each is not None), None)
    if name is None:
        return ()
    spec = contract.vocabularies[name]
    return tuple(sorted({each for each in (spec.padding_id, spec.unknown_id) if each is not None}))
