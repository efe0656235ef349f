"""Tables that are stored as coordinates in a basis, read without being made: rows and vectors are turned.

    gather(C · B, ids)     ->  gather(C, ids) · B
    h · (C · B)ᵀ           ->  (h · Bᵀ) · Cᵀ
    (C · B) · h            ->  C · (B · h)

so that a call multiplies a few rows and vectors by the basis, and not the catalogue. A table in two parts of
which one is so stored is read part by part for the same reason: rows from either, and scores put in order.
What reads the table otherwise, reads it whole.

coremltools is imported with this module, so import it inside functions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from coremltools.converters.mil.mil import Builder, Function, Program, Var
from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass

COORDINATES = "pocketrec::read_by_coordinates"
STORED_BY = frozenset({"gather", "concat", "matmul"})  # what puts a stored table together


def is_stored(value: Var) -> bool:
    """Whether a variable is a stored table: a constexpr, one in coordinates, or parts of one put together."""
    op: Any = value.op
    if op is None:
        return False
    if op.op_type == "gather":
        return is_stored(op.x)
    if op.op_type == "concat":
        return is_stored(op.values[0])
    return bool(op.op_type.startswith("constexpr_")) or _in_coordinates(op)


def _in_coordinates(op: Any) -> bool:
    """Whether an op multiplies stored coordinates by their basis, or turned ones from the other side.

    Coordinates are as many as columns, and as many more as fill the last vector: no other constant is
    taken for a basis, as a product with it may be far shorter than what it would be turned into.
    """
    if op.op_type != "matmul" or op.transpose_x.val or op.transpose_y.val:
        return False
    for coordinates, basis, sign in ((op.x, op.y, 1), (op.y, op.x, -1)):
        kind = "" if basis.op is None else basis.op.op_type
        if kind in ("const", "constexpr_cast") and basis.rank == coordinates.rank == 2:
            return bool(0 <= sign * (basis.shape[0] - basis.shape[1]) < _width(coordinates))
    return False


def _width(value: Var) -> int:
    """How many numbers a code of a variable stands for; 0 where it is not of product codes."""
    op: Any = value.op
    if op is None or op.op_type != "constexpr_lut_to_dense" or getattr(op, "vector_axis", None) is None:
        return 0
    return int(op.lut.shape[-1])


def _parts(op: Any, axis: int) -> tuple[Var, Var] | None:
    """The parts along an axis of a table that an op puts in order; None where it does not."""
    joined = op.x.op if op.op_type == "gather" else None
    if joined is None or joined.op_type != "concat" or len(joined.values) != 2 or not is_stored(op.x):
        return None
    along = (op.axis.val, joined.axis.val) == (axis, axis) and op.indices.shape == (op.x.shape[axis],)
    return tuple(joined.values) if along else None


def _is_made(value: Var, axis: int) -> bool:
    """Whether a variable is a whole table that has to be made of coordinates, with its rows along an axis."""
    op: Any = value.op
    if op is None:
        return False
    parts = _parts(op, axis)
    return _in_coordinates(op) or (parts is not None and any(_is_made(each, axis) for each in parts))


class read_by_coordinates(AbstractGraphPass):  # type: ignore[misc]  # noqa: N801 - a pipeline takes this name
    """Rows and scores turned by the basis, in place of the table."""

    def apply(self, prog: Program) -> None:
        """Rewrites every function of `prog` in place."""
        for function in prog.functions.values():
            for op in list(function.operations):
                if op.enclosing_block is function:
                    _read(function, op)


def _read(function: Function, op: Any) -> None:
    """Has one op read coordinates, where it looks rows up or scores them."""
    given = op.outputs[0]
    write = _Writer(op, given.name)
    product = op.op_type == "matmul" and not op.transpose_x.val
    transposed = product and bool(op.transpose_y.val)
    with function:
        if _is_lookup(op) and _is_made(op.x, axis=0):
            made = write.rows(op.x, op.indices)
        elif product and _is_made(op.y, _rows_axis(transposed)):
            made = write.scores(op.x, op.y, transposed=transposed)
        elif product and op.y.rank == 2 and _is_made(op.x, axis=0):
            made = write.scored(op.x, op.y, transposed=transposed)
        else:
            return
    function.replace_uses_of_var_after_op(
        anchor_op=op, old_var=given, new_var=made, no_check_var_types=True, force_replace=True
    )
    function.remove_ops([op])


def _rows_axis(transposed: bool) -> int:
    """The axis of a product's second factor that becomes the scores'."""
    return 0 if transposed else 1


def _is_lookup(op: Any) -> bool:
    """Whether an op gathers rows by ids."""
    if op.op_type != "gather" or op.axis.val != 0:
        return False
    return "batch_dims" not in op.inputs or op.batch_dims.val == 0


class _Writer:
    """Writes before one op what takes its place; names of new values begin with that of its result."""

    def __init__(self, before: Any, name: str) -> None:
        self._before, self._name = before, name

    def rows(self, table: Var, ids: Var) -> Var:
        """The rows `ids` of a table, `[*ids.shape, columns]`."""
        op: Any = table.op
        if _in_coordinates(op):
            return self._op("matmul", x=self._gathered(op.x, ids), y=op.y)
        parts = _parts(op, axis=0)
        if parts is None:
            return self._gathered(table, ids)
        count, place = np.int32(parts[0].shape[0]), self._gathered(op.indices, ids)
        first = self.rows(parts[0], self._op("minimum", x=place, y=count - 1))
        after = self._op("maximum", x=self._op("sub", x=place, y=count), y=np.int32(0))
        inside = self._op("expand_dims", x=self._op("less", x=place, y=count), axes=[-1])
        return self._op("select", cond=inside, a=first, b=self.rows(parts[1], after))

    def scores(self, vectors: Var, table: Var, *, transposed: bool) -> Var:
        """Vectors times all rows of a table, which is `[columns, rows]` unless it is read `transposed`."""
        op: Any = table.op
        if _in_coordinates(op):
            basis, coordinates = (op.y, op.x) if transposed else (op.x, op.y)
            turned = self._op("matmul", x=vectors, y=basis, transpose_y=transposed)
            return self._op("matmul", x=turned, y=coordinates, transpose_y=transposed)
        parts = _parts(op, axis=_rows_axis(transposed))
        if parts is None:
            return self._op("matmul", x=vectors, y=table, transpose_y=transposed)
        found = [self.scores(vectors, each, transposed=transposed) for each in parts]
        return self._gathered(self._op("concat", values=found, axis=-1), op.indices, axis=-1)

    def scored(self, table: Var, vectors: Var, *, transposed: bool) -> Var:
        """All rows of a table times vectors, which are `[columns, n]` unless they are read `transposed`."""
        op: Any = table.op
        if _in_coordinates(op):
            turned = self._op("matmul", x=op.y, y=vectors, transpose_y=transposed)
            return self._op("matmul", x=op.x, y=turned)
        parts = _parts(op, axis=0)
        if parts is None:
            return self._op("matmul", x=table, y=vectors, transpose_y=transposed)
        found = [self.scored(each, vectors, transposed=transposed) for each in parts]
        return self._gathered(self._op("concat", values=found, axis=0), op.indices)

    def _gathered(self, values: Var, ids: Var, axis: int = 0) -> Var:
        return self._op("gather", x=values, indices=ids, axis=axis, validate_indices=False)

    def _op(self, kind: str, **inputs: Any) -> Var:
        made: Var = getattr(Builder, kind)(**inputs, before_op=self._before, name=f"{self._name}_{kind}")
        return made
