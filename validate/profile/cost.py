"""What a call computes and touches, op by op, counted from the graph: it runs nothing, so it holds anywhere.

    operations   multiplications and additions apart, so a product of M×K and K×N has 2·M·K·N
    read         bytes of every operand, as it is stored; of a table that is gathered from, only the rows
    written      bytes of every result

| ops | operations |
|---|---|
| products of matrices | 2 · elements made · length of the sum, + 1 an element for a bias |
| conv | 2 · elements made · elements of one filter, + 1 an element for a bias |
| lstm, gru | 2 · steps · rows · elements of the weights |
| softmax | 5 an element: largest, less, exp, sum, divided |
| layer norm and its like | 8 an element: mean 1, variance 3, normalized 2, scaled and shifted 2 |
| reductions, cumsum | 1 an element read |
| topk, sort | elements read · log2(k + 1) rounded up; all of them for a sort |
| what only moves, shapes or casts | 0 |
| all others | 1 an element made |

What no input changes costs nothing a call: engines compute it when they load. A weight that Core ML
decompresses is read as it is stored. What is reshaped is neither read nor written. An op within a loop or a
branch counts once. An engine that fuses ops reads and writes less, one whose caches are small more: this is
what the program says, and no measurement. Sizes that the file leaves open are those of a call.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from pocketrec.errors import PocketrecError
from pocketrec.validate.artifact.graph import Graph, Op, packed_bytes
from pocketrec.validate.runtimes.runtime import Array

_VIEWS = frozenset({"reshape", "squeeze", "expand_dims", "flatten2d", "identity", "shape", "Shape"})
_LOOKUPS = frozenset({"gather", "gather_nd", "gather_along_axis", "gather_block_quantized"})
_PARTS = _LOOKUPS | {"slice_by_index", "slice_by_size", "split"}
_MOVES = (
    _VIEWS
    | _PARTS
    | {"transpose", "concat", "stack", "tile", "expand", "cast", "pad", "Pad", "reverse", "fill", "Range"}
    | {"range_1d", "ConstantOfShape", "read_state", "write_state", "coreml_update_state"}
)
_AROUND = frozenset({"while_loop", "cond", "Loop", "If", "Scan"})
_NORMS = frozenset(
    {"layer_norm", "instance_norm", "batch_norm", "l2_norm", "LayerNormalization", "RMSNormalization"}
    | {"SkipLayerNormalization", "SkipSimplifiedLayerNormalization", "SimplifiedLayerNormalization"}
)
_CONSTEXPR = "constexpr_"

Shape = tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpCost:
    """What one op costs a call; `outputs` are the tensors that it makes."""

    type: str
    name: str
    outputs: tuple[str, ...]
    operations: int
    read_bytes: int
    written_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a call costs.

    Attributes:
        ops: of every op that runs, in order.
        uncounted: names of ops whose sizes are not known.
        from_call: whether some sizes are those of a call, which the file leaves open.
    """

    ops: tuple[OpCost, ...]
    uncounted: tuple[str, ...]
    from_call: bool

    @property
    def operations(self) -> int:
        """Of a call."""
        return sum(each.operations for each in self.ops)

    @property
    def read_bytes(self) -> int:
        """Of a call."""
        return sum(each.read_bytes for each in self.ops)

    @property
    def written_bytes(self) -> int:
        """Of a call."""
        return sum(each.written_bytes for each in self.ops)


def cost_of(graph: Graph, inputs: Mapping[str, Array] | None = None) -> Cost:
    """What a call of one function costs.

    Args:
        graph: of one function.
        inputs: of a call, for sizes that the file leaves open; ops with such sizes are not counted without.
    """
    counter = _Counter(graph, inputs)
    ops, uncounted = [], []
    for op in graph.ops:
        if op.kind in _AROUND or op.type.startswith(_CONSTEXPR) or not counter.runs(op):
            continue
        counted = counter.count(op)
        if counted is None:
            uncounted.append(op.name)
        else:
            ops.append(counted)
    return Cost(ops=tuple(ops), uncounted=tuple(uncounted), from_call=bool(counter.seen))


class _Counter:
    """Sizes of one graph's tensors, and which of them an input changes."""

    def __init__(self, graph: Graph, inputs: Mapping[str, Array] | None) -> None:
        self.graph = graph
        self.seen = {} if inputs is None else _seen(graph, inputs)

    @cached_property
    def _changing(self) -> frozenset[str]:
        """The tensors that depend on an input, a state, or what a block is given."""
        made, found = self.graph.makers, set[str]()
        for op in self.graph.ops:
            operands = [name for name in op.operands if name]
            given = (name not in made and self.graph.tensor(name).load is None for name in operands)
            if op.kind.lower().startswith("random") or any(given) or not found.isdisjoint(operands):
                found.update((*op.outputs, *op.updated))
        return frozenset(found)

    def runs(self, op: Op) -> bool:
        """Whether the op runs in a call."""
        return not self._changing.isdisjoint((*op.outputs, *op.updated))

    def shape(self, name: str) -> Shape | None:
        """The tensor's sizes; None where they are not known."""
        if name in self.seen:
            return self.seen[name]
        stated = self.graph.tensor(name).shape
        return None if stated is None else _whole(stated)

    def elements(self, name: str) -> int | None:
        """How many numbers the tensor has; None where that is not known."""
        shape = self.shape(name)
        return None if shape is None else math.prod(shape)

    def size(self, name: str) -> int | None:
        """The tensor's bytes as they are read: as stored where they are; None where that is not known."""
        tensor, maker = self.graph.tensor(name), self.graph.makers.get(name)
        if maker is not None and maker.type.startswith(_CONSTEXPR):
            return sum(self.size(each) or 0 for each in maker.operands)
        if tensor.stored_bytes is not None:
            return tensor.stored_bytes
        shape = self.shape(name)
        return None if shape is None or not tensor.dtype else packed_bytes(tensor.dtype, shape)

    def count(self, op: Op) -> OpCost | None:
        """The op's cost; None where a size is not known."""
        outputs = tuple(name for name in op.outputs if name)
        made, written = [self.elements(each) for each in outputs], [self.size(each) for each in outputs]
        operations = self._operations(op)
        read = self._read(op, written)
        if operations is None or read is None or None in made or None in written:
            return None
        return OpCost(
            type=op.type,
            name=op.name,
            outputs=outputs,
            operations=operations,
            read_bytes=read,
            written_bytes=0 if op.kind in _VIEWS else sum(each or 0 for each in written),
        )

    def _read(self, op: Op, written: Sequence[int | None]) -> int | None:
        if op.kind in _VIEWS:
            return 0
        table = self.main(op) if op.kind in _PARTS else ""
        sizes = [self.size(name) for name in dict.fromkeys(op.operands) if name and name != table]
        if table:
            sizes.append(self._part(op, table, written))
        return None if None in sizes else sum(each or 0 for each in sizes)

    def _part(self, op: Op, table: str, written: Sequence[int | None]) -> int | None:
        """What a lookup or a slice reads of its table: as many numbers as it makes, as they are stored."""
        whole, numbers = self.size(table), self.elements(table)
        made = self.elements(op.outputs[0]) if op.outputs else None
        if whole is None or made is None or not numbers:
            return None
        return min(whole, math.ceil(made * whole / numbers)) if op.kind != "split" else whole

    def _operations(self, op: Op) -> int | None:
        if op.kind in _MOVES:
            return 0
        for kinds, formula in _FORMULAS:
            if op.kind in kinds:
                return formula(self, op)
        if op.kind.lower().startswith("reduce"):
            return self.elements(self.main(op))
        return self.elements(op.outputs[0]) if op.outputs else 0

    def main(self, op: Op) -> str:
        """The tensor that the op is about; its first one where no operand is called so."""
        return self.first(op, "x", "0") or next(iter(op.operands), "")

    def first(self, op: Op, *names: str) -> str:
        """The tensor of the first of these operands that the op has; empty for none."""
        return next((op.inputs[name][0] for name in names if op.inputs.get(name)), "")


def _product(counter: _Counter, op: Op) -> int | None:
    shape, made = counter.shape(counter.main(op)), counter.elements(op.outputs[0])
    if not shape or made is None:
        return None
    turned = _is_set(counter, op, "transpose_x") or bool(op.attributes.get("transA"))
    bias = made if counter.first(op, "bias") else 0
    return 2 * made * shape[-2 if turned and len(shape) > 1 else -1] + bias


def _is_set(counter: _Counter, op: Op, name: str) -> bool:
    return bool(counter.graph.parameter(op, name, False))


def _convolution(counter: _Counter, op: Op) -> int | None:
    weight, made = counter.shape(counter.first(op, "weight", "1")), counter.elements(op.outputs[0])
    if not weight or made is None:
        return None
    return 2 * made * math.prod(weight[1:]) + (made if counter.first(op, "bias", "2") else 0)


def _recurrent(counter: _Counter, op: Op) -> int | None:
    shape = counter.shape(counter.main(op))
    names = ("weight_ih", "weight_hh", "weight_ih_back", "weight_hh_back", "1", "2")
    weights = [counter.elements(op.inputs[name][0]) for name in names if op.inputs.get(name)]
    if shape is None or len(shape) < 2 or None in weights:
        return None
    return 2 * shape[0] * shape[1] * sum(each or 0 for each in weights)


def _each_read(factor: int) -> Callable[[_Counter, Op], int | None]:
    def formula(counter: _Counter, op: Op) -> int | None:
        read = counter.elements(counter.main(op))
        return None if read is None else factor * read

    return formula


def _best(counter: _Counter, op: Op) -> int | None:
    read, made = counter.shape(counter.main(op)), counter.shape(op.outputs[0])
    if not read or not made:
        return None
    axis = int(counter.graph.parameter(op, "axis", -1))
    kept = made[axis] if op.kind == "topk" else read[axis]
    return math.prod(read) * math.ceil(math.log2(kept + 1))


_FORMULAS: Sequence[tuple[frozenset[str], Callable[[_Counter, Op], int | None]]] = (
    (frozenset({"matmul", "linear", "MatMulNBits", "MatMulInteger"}), _product),
    (frozenset({"conv", "Conv"}), _convolution),
    (frozenset({"lstm", "gru", "LSTM", "GRU"}), _recurrent),
    (frozenset({"softmax"}), _each_read(5)),
    (_NORMS, _each_read(8)),
    (frozenset({"cumsum", "CumSum"}), _each_read(1)),
    (frozenset({"topk", "argsort"}), _best),
)


def _whole(shape: Sequence[int | None]) -> Shape | None:
    sizes = tuple(each for each in shape if each is not None)
    return sizes if len(sizes) == len(shape) else None


def _seen(graph: Graph, inputs: Mapping[str, Array]) -> dict[str, Shape]:
    """The sizes that the file leaves open, as a call has them; none where nothing here computes parts."""
    open_names = [
        name
        for op in graph.ops
        if not op.depth
        for name in op.outputs
        if name and _whole(graph.tensor(name).shape or (None,)) is None
    ]
    if not open_names:
        return {}
    try:
        values = graph.evaluate(open_names, inputs)
    except PocketrecError:
        return {}
    return {name: each.shape for name, each in (*inputs.items(), *values.items())}
