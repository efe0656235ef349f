"""What no type tells of users' columns, checked before the work: nulls, infinities, forbidden words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from pocketrec.errors import CallError, DataError
from pocketrec.package.host.items import Items, shown
from pocketrec.pipeline.score.arguments import Argument, is_text_type, leaf_of
from pocketrec.pipeline.score.users import Users
from pocketrec.source.columns import pyarrow


def check_batch(users: Users, first: int, batch: Any, vocabularies: Mapping[str, Items]) -> None:
    """Checks that every value of a batch can be handed to a call.

    Args:
        users: whose batch it is.
        first: its first row, counted over all files.
        batch: its columns.
        vocabularies: of words.

    Raises:
        DataError: names file, row, column, what came and what was expected.
    """
    for name in users.names:
        row = first_null(batch[name])
        if row is not None:
            raise _bad(users, first + row, name, "holds a null", "a value, or an empty list")
    for each in users.arguments:
        wrong = _wrong_value(batch[each.column], each, vocabularies)
        if wrong is not None:
            row, came, expected = wrong
            raise _bad(users, first + row, each.column, f"holds {came}", expected)


def _wrong_value(
    column: Any, each: Argument, vocabularies: Mapping[str, Items]
) -> tuple[int, str, str] | None:
    """The row of a value that a call would refuse, the value, and what it expects."""
    import pyarrow.compute as pc

    leaves, rows = _leaves(column)
    types = pyarrow().types
    if types.is_dictionary(leaves.type):
        leaves = leaves.cast(leaves.type.value_type)
    if types.is_floating(leaves.type):
        places = np.flatnonzero(~np.asarray(pc.is_finite(leaves)))
        return (int(rows[places[0]]), str(leaves[int(places[0])]), "a finite number") if len(places) else None
    if each.vocabulary and (is_text_type(leaves.type) or types.is_integer(leaves.type)):
        for value, expected in _wrong_words(leaves, each, vocabularies[each.vocabulary]):
            place = pc.index(leaves, pyarrow().scalar(value, leaves.type)).as_py()
            return int(rows[place]), shown(value), expected
    return None


def _wrong_words(leaves: Any, each: Argument, items: Items) -> Iterator[tuple[Any, str]]:
    """Words that a call would refuse, and what it expects."""
    for value in leaves.unique().to_pylist():
        if not isinstance(value, str):
            if each.forbids and not items.is_item(value):
                yield value, f"the id of an item of {items.name!r}, which has {len(items.tokens)} ids"
            continue
        try:
            if items.find(value) is None and each.forbids:
                yield value, str(items.refused(value))
        except CallError as error:
            yield value, str(error)


def first_null(column: Any) -> int | None:
    """The first row with a null at any depth of a column; None where there is none."""
    types = pyarrow().types
    if column.null_count:
        return int(np.argmax(np.asarray(column.is_null())))
    if types.is_struct(column.type):
        rows = [first_null(each) for each in column.flatten()]
        return min((row for row in rows if row is not None), default=None)
    if not leaf_of(column.type)[1]:
        return None
    values, parents = _flat(column)
    inner = first_null(values)
    return None if inner is None else int(parents[inner])


def _leaves(column: Any) -> tuple[Any, Any]:
    """What stands in a column's innermost lists, and the row of each."""
    rows = np.arange(len(column))
    while leaf_of(column.type)[1]:
        column, parents = _flat(column)
        rows = rows[parents]
    return column, rows


def _flat(column: Any) -> tuple[Any, Any]:
    """What stands in a column's lists, and the row of each."""
    import pyarrow.compute as pc

    return pc.list_flatten(column), np.asarray(pc.list_parent_indices(column))


def _bad(users: Users, row: int, column: str, came: str, expected: str) -> DataError:
    return DataError(f"{users.where(row)}, column {column!r} {came}; expected {expected}")
