"""The k best rows of a large table as an integer scan over all rows, and exact scores of the few that matter.

    scan    the vector in 7 bits times the 8-bit codes, in pieces whose results stay in the cache;
            of every chunk of rows only the largest product goes on
    bound   no row can score more than its integer product and |row| |rounding error of the vector|
    refine  the chunks with the highest bounds are scored in float32, as the compressed reference does,
            until the k-th best score is no less than every bound that is left

So ids and scores are those of float32 arithmetic on the dequantized table, whatever the data; what the
data decides is how many chunks have to be refined. It is the threshold algorithm (Fagin et al., 2001,
"Optimal aggregation algorithms for middleware") with bounds from the rounding of one operand.

A vector has 7 bits because processors without an instruction for 8-bit dot products add pairs of
products in 16 bits, which saturate at 2 * 255 * 127 and not at 2 * 127 * 127.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto

from pocketrec.convert.onnx.codes import OnnxLinear
from pocketrec.convert.onnx.writer import OnnxWriter
from pocketrec.quantize.tensor import LinearTensor, QuantizedTensor
from pocketrec.source.stubs import Stub

Array = npt.NDArray[Any]
LARGE = 32_768  # rows from which on a scan is faster than a product with the dequantized table
CHUNK = 16  # rows that are refined together: every 16th of a block of 256
_PIECE = 131_072  # rows that are scanned at a time: their products take 512 kB
_MOST_PIECES = 32
_SPARE = 32  # chunks that are refined at first, beside two for each of the k best
_FURTHER = 8  # times as many in every further round
_LEVELS, _ZERO = 63, 64  # the vector is -63 to 63, stored from 1 to 127


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """A product with a table, and perhaps a bias per row, of which only the k best are used.

    Attributes:
        table: the compressed tensor's name.
        vector: the value of `[batch, columns]` that is multiplied with it.
        k: how many are used.
        bias: the constant that is added to the scores, one number per row; None where there is none.
    """

    table: str
    vector: str
    k: int
    bias: Array | None = None


def fits_scan(tensor: QuantizedTensor) -> bool:
    """Whether the tensor can be scanned: a large table of signed 8-bit codes with one scale a row."""
    return (
        isinstance(tensor, LinearTensor)
        and tensor.bits == 8
        and tensor.granularity == "per_row"
        and tensor.zero_points is None
        and len(tensor.shape) == 2
        and tensor.rows >= LARGE
    )


def find_heads(
    graph: onnx.GraphProto,
    turned: Mapping[str, QuantizedTensor],
    direct: Mapping[str, QuantizedTensor],
    *,
    compressed: Collection[str] = (),
) -> dict[str, Head]:
    """Heads by the value of their scores.

    Args:
        graph: as exported.
        turned: tables by the names of the values `[columns, rows]` that hold them transposed.
        direct: tables by the names of the values that hold them as they are.
        compressed: names of constants that will be stored as codes, which no bias may be.
    """
    readers: dict[str, list[onnx.NodeProto]] = {each.name: [] for each in graph.output}
    for node in graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    ranks = {each.name: len(each.type.tensor_type.shape.dim) for each in graph.value_info}
    constants = {each.name: each for each in graph.initializer if each.name not in compressed}
    outputs = {each.name for each in graph.output}
    heads = {}

    def only_reader(name: str) -> onnx.NodeProto | None:
        users = readers.get(name, [])
        return users[0] if len(users) == 1 and name not in outputs else None

    for node in graph.node:
        tensor = _table_of(node, turned, direct)
        if tensor is None or not fits_scan(tensor) or ranks.get(node.output[0]) != 2:
            continue
        scores, bias = node.output[0], None
        if node.op_type == "Gemm" and len(node.input) > 2 and node.input[2]:
            bias = _bias_of(node.input[2], constants, tensor.rows)
            if bias is None:
                continue
        user = only_reader(scores)
        if bias is None and user is not None and user.op_type == "Add":
            other = next((each for each in user.input if each != scores), "")
            bias = _bias_of(other, constants, tensor.rows)
            scores = scores if bias is None else user.output[0]
            user = only_reader(scores)
        k = _best_of(user, constants) if user is not None else None
        if k is not None and _chunks(tensor.rows) > 2 * _first(k):
            heads[scores] = Head(table=tensor.name, vector=node.input[0], k=k, bias=bias)
    return heads


def _table_of(
    node: onnx.NodeProto, turned: Mapping[str, QuantizedTensor], direct: Mapping[str, QuantizedTensor]
) -> QuantizedTensor | None:
    """The table that a node multiplies a vector with, each row for itself; None where it does not."""
    if node.op_type == "MatMul":
        return turned.get(node.input[1])
    if node.op_type != "Gemm":
        return None
    values = {each.name: onnx.helper.get_attribute_value(each) for each in node.attribute}
    plain = values.get("alpha", 1.0) == values.get("beta", 1.0) == 1.0 and not values.get("transA", 0)
    tables = direct if values.get("transB", 0) else turned
    return tables.get(node.input[1]) if plain else None


def _bias_of(name: str, constants: Mapping[str, onnx.TensorProto], rows: int) -> Array | None:
    """The constant of one float32 per row, finite or -inf, `[rows]`; None where the value is none."""
    held = constants.get(name)
    if held is None or held.data_type != TensorProto.FLOAT or list(held.dims) not in ([rows], [1, rows]):
        return None
    numbers: Array = onnx.numpy_helper.to_array(held).reshape(rows)
    usable = np.isfinite(numbers) | np.isneginf(numbers)
    return numbers if usable.all() and np.isfinite(numbers).any() else None


def _best_of(node: onnx.NodeProto, constants: Mapping[str, onnx.TensorProto]) -> int | None:
    """The k of a TopK of the largest along the last of two axes; None where the node is none."""
    values = {each.name: each.i for each in node.attribute}
    if node.op_type != "TopK" or values.get("axis", -1) not in (-1, 1) or not values.get("largest", 1):
        return None
    held = constants.get(node.input[1])
    return None if held is None else int(onnx.numpy_helper.to_array(held).ravel()[0])


def _block() -> int:
    return CHUNK * CHUNK


def _chunks(rows: int) -> int:
    """How many chunks there are; those past the end of the last block have no rows."""
    return -(-rows // _block()) * CHUNK


def _first(k: int) -> int:
    """Chunks of the first round; on random and clustered tables it is the last one, too."""
    return 2 * k + _SPARE


def lengths(codes: Array) -> Array:
    """The Euclidean length of every row of codes, rounded up to a 255th of the largest, uint8 `[rows, 1]`."""
    if isinstance(codes, Stub):
        return codes.mapped("lengths", lengths, (len(codes), 1))
    numbers = codes.astype(np.float32)
    squares = np.einsum("rc,rc->r", numbers, numbers)[:, None]
    steps = np.ceil(np.sqrt(squares) * np.float32((1 + 1e-4) / _length_step(codes.shape[1])))
    rounded: Array = np.minimum(steps, 255).astype(np.uint8)
    return rounded


def _length_step(columns: int) -> float:
    return float(128 * np.sqrt(columns) / 255)


class OnnxScan:
    """The nodes of one head."""

    def __init__(self, head: Head, codes: OnnxLinear, writer: OnnxWriter) -> None:
        self._head, self._tensor, self._codes, self._writer = head, codes.tensor, codes, writer
        self._bias = None if head.bias is None else writer.constant(head.bias, "bias")

    def best(self) -> tuple[str, str]:
        """The k largest products, float32 `[batch, k]`, and their rows, int64, largest first."""
        bounds, step = self._bounds(), self._step
        first = self._round(bounds, self._integers(0), self._integers(step))
        left = -(-(_chunks(self._tensor.rows) - step) // (_FURTHER * step))
        before = self._writer.take()
        body = self._body(bounds)
        self._writer.nodes = before
        values, rows = self._writer.outputs("Loop", [self._constant(np.int64(left)), *first], 2, body=body)
        return values, rows

    def _body(self, bounds: str) -> onnx.GraphProto:
        """What the loop repeats: number, condition, best so far to condition, best so far."""
        write, info = self._writer, onnx.helper.make_tensor_value_info
        number, going, values, rows = (write.name() for _ in range(4))
        again, best, best_rows = self._round(bounds, *self._range(number), before=(values, rows))
        inputs = [
            info(number, TensorProto.INT64, []),
            info(going, TensorProto.BOOL, []),
            info(values, TensorProto.FLOAT, [None, None]),
            info(rows, TensorProto.INT64, [None, None]),
        ]
        outputs = [
            info(again, TensorProto.BOOL, []),
            info(best, TensorProto.FLOAT, [None, self._head.k]),
            info(best_rows, TensorProto.INT64, [None, self._head.k]),
        ]
        return onnx.helper.make_graph(write.take(), "refine", inputs, outputs)

    @property
    def _step(self) -> int:
        return _first(self._head.k)

    def _bounds(self) -> str:
        """An upper bound of the products of every chunk, `[batch, chunks + 1]`, the last one -inf."""
        write, vector = self._writer, self._head.vector
        largest = write.node("ReduceMax", [write.node("Abs", [vector]), self._integers(1)], keepdims=1)
        tiny = self._constant(np.float32(1e-30))  # a vector of zeros has a step, too
        step = write.node("Div", [write.node("Max", [largest, tiny]), self._constant(np.float32(_LEVELS))])
        levels = write.node("Round", [write.node("Div", [vector, step])])
        moved = write.node("Add", [levels, self._constant(np.float32(_ZERO))])
        found = self._largest(write.cast(moved, TensorProto.UINT8), step)
        error = write.node("Sub", [vector, write.node("Mul", [levels, step])])
        slack = write.node("Mul", [self._error(error), self._largest_rows()])
        if self._head.bias is not None:  # its additions round, too
            finite = self._head.bias[np.isfinite(self._head.bias)]
            rounding = self._constant(np.float32(np.abs(finite).max() * 2.0**-22))
            slack = write.node("Add", [slack, rounding])
        bounds = write.node("Add", [found, slack])
        ends = self._constant(np.array([0, 0, 0, 1], np.int64))
        return write.node("Pad", [bounds, ends, self._constant(np.float32(-np.inf))])

    def _error(self, rounding: str) -> str:
        """The length of the vector's rounding error and of float32's on the way, `[batch, 1]`."""
        write, one = self._writer, self._integers(1)
        noise = self._constant(np.float32((self._tensor.columns + 16) * 2.0**-22))
        length = write.node("ReduceL2", [self._head.vector, one], keepdims=1)
        return write.node(
            "Add", [write.node("ReduceL2", [rounding, one], keepdims=1), write.node("Mul", [length, noise])]
        )

    def _largest(self, vector: str, step: str) -> str:
        """The largest score of every chunk, `[batch, chunks]`, for the vector in its steps."""
        write, rows = self._writer, self._tensor.rows
        size = max(_PIECE, -(-rows // _MOST_PIECES // _block()) * _block())
        counts = [min(size, rows - start) for start in range(0, rows, size)]
        codes, scales = (
            self._split(self._codes.codes(), counts, 0),
            self._split(self._row_scales(), counts, 1),
        )
        biases = [] if self._bias is None else self._split(write.reshape(self._bias, (1, -1)), counts, 1)
        pieces = []
        for place, count in enumerate(counts):
            part = write.node("Transpose", [codes[place]], perm=[1, 0])
            sums = write.node("MatMulInteger", [vector, part, self._constant(np.uint8(_ZERO))])
            scores = write.node("Mul", [write.cast(sums), scales[place]])
            if biases:
                scores = write.node("Add", [write.node("Mul", [scores, step]), biases[place]])
            pieces.append(self._by_chunk(scores, count, -np.inf))
        found = write.node("Concat", pieces, axis=1) if len(pieces) > 1 else pieces[0]
        return found if self._bias is not None else write.node("Mul", [found, step])

    def _largest_rows(self) -> str:
        """The length of the longest row of every chunk, `[1, chunks]`; folded when the file is loaded."""
        write = self._writer
        stored = write.cast(write.constant(lengths(self._tensor.codes), "lengths"))
        rows = write.node("Mul", [self._row_scales(), write.reshape(stored, (1, -1))])
        step = self._constant(np.float32(_length_step(self._tensor.columns)))
        return self._by_chunk(write.node("Mul", [rows, step]), self._tensor.rows, 0)

    def _by_chunk(self, values: str, count: int, filling: float) -> str:
        """The largest of every chunk of `[batch, count]`.

        Rows 16 apart make a chunk, not neighbours: the maximum of 16 vectors is quicker than that in each.
        """
        write, missing = self._writer, -count % _block()
        if missing:
            ends = self._constant(np.array([0, 0, 0, missing], np.int64))
            values = write.node("Pad", [values, ends, self._constant(np.float32(filling))])
        blocks = write.reshape(values, (0, -1, CHUNK, CHUNK))
        return write.reshape(write.node("ReduceMax", [blocks, self._integers(2)], keepdims=0), (0, -1))

    def _row_scales(self) -> str:
        return self._writer.reshape(self._codes.scales(), (1, -1))

    def _round(
        self, bounds: str, start: str, stop: str, *, before: tuple[str, str] | None = None
    ) -> tuple[str, str, str]:
        """Whether to go on, and the best scores and rows, after the chunks from start to stop are refined."""
        write, one = self._writer, self._integers(1)
        upper, chunks = write.outputs("TopK", [bounds, write.node("Add", [stop, one])], 2, axis=1)
        rows, scores = self._refine(write.node("Slice", [chunks, start, stop, one]))
        if before is not None:
            scores = write.node("Concat", [before[0], scores], axis=1)
            rows = write.node("Concat", [before[1], rows], axis=1)
        best, found = write.outputs("TopK", [scores, self._integers(self._head.k)], 2, axis=1)
        best_rows = write.node("GatherElements", [rows, found], axis=1)
        least = write.node("Gather", [best, self._integers(self._head.k - 1)], axis=1)
        proved = write.node("GreaterOrEqual", [least, write.node("Gather", [upper, stop], axis=1)])
        all_proved = write.node("ReduceMin", [write.cast(proved, TensorProto.INT32)], keepdims=0)
        return write.node("Not", [write.cast(all_proved, TensorProto.BOOL)]), best, best_rows

    def _range(self, number: str) -> tuple[str, str]:
        """First and last place, in the order of their bounds, of the chunks of a further round."""
        write, more = self._writer, _FURTHER * self._step
        done = write.node("Mul", [write.reshape(number, (1,)), self._integers(more)])
        start = write.node("Add", [done, self._integers(self._step)])
        chunks = self._integers(_chunks(self._tensor.rows))
        return start, write.node("Min", [write.node("Add", [start, self._integers(more)]), chunks])

    def _refine(self, chunks: str) -> tuple[str, str]:
        """Rows of the chunks `[batch, n]`, and their products as the reference has them."""
        write, count = self._writer, self._tensor.rows
        within = write.node("Mod", [chunks, self._integers(CHUNK)])
        block = write.node("Mul", [write.node("Sub", [chunks, within]), self._integers(CHUNK)])
        first = write.node("Add", [block, within])
        places = write.node("Unsqueeze", [first, self._integers(2)])
        rows = write.reshape(write.node("Add", [places, self._integers(*range(0, _block(), CHUNK))]), (0, -1))
        last = self._integers(count - 1)
        read = write.node("Min", [rows, last]) if count % _block() else rows
        codes = write.cast(write.node("Gather", [self._codes.codes(), read]))
        column = write.node("Unsqueeze", [self._head.vector, self._integers(2)])
        sums = write.node("Squeeze", [write.node("MatMul", [codes, column]), self._integers(2)])
        scales = write.reshape(self._codes.scales(), (-1,))
        scores = write.node("Mul", [sums, write.node("Gather", [scales, read])])
        if self._bias is not None:
            scores = write.node("Add", [scores, write.node("Gather", [self._bias, read])])
        if count % _block():
            real = write.node("LessOrEqual", [rows, last])
            scores = write.node("Where", [real, scores, self._constant(np.float32(-np.inf))])
        return rows, scores

    def _split(self, values: str, counts: list[int], axis: int) -> list[str]:
        """The pieces of stored values, by one node: ONNX Runtime reads a file anew for each that it folds."""
        if len(counts) == 1:
            return [values]
        return self._writer.outputs("Split", [values, self._integers(*counts)], len(counts), axis=axis)

    def _integers(self, *values: int) -> str:
        return self._constant(np.array(values, np.int64))

    def _constant(self, value: object) -> str:
        return self._writer.constant(value)
