"""Products of features of which some are the same for all rows, with that part of the work done once.

    split    concat(x, repeat(u)) [W; V] = x W + repeat(u V)
    scale    concat(x, x * repeat(u)) [W; V] = x (W + diag(u) V)

A user's part of a candidate's features is multiplied once for all candidates, and the products of the
two, which factorization and target attention (Zhou et al., 2018, "Deep interest network", arXiv
1706.06978) are made of, become part of the weights. Sums and differences of the two do not: those of
large numbers, such as times, are exact before the product and would not be after it. Nor do products in
float16, which would be rounded elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx

from pocketrec.convert.onnx.values import GraphValues

_FEWEST_COLUMNS = 8  # of what is repeated, below which a sum costs more than the product
_FEWEST_ROWS = 32  # for which weights of their own are computed
_WIDEST = 4096  # outputs of a product that is split; a catalogue is not taken apart


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """One operand of the concat.

    Attributes:
        name: the value.
        columns: its places in the concat.
        once: what is repeated for all rows to make it; None where it is not.
        base: the operand that it is a multiple of; None where it is none.
        factor: by what, `[batch, 1, columns]`.
    """

    name: str
    columns: npt.NDArray[np.int64]
    once: str | None
    base: str | None = None
    factor: str | None = None


class _Split:
    """The nodes that a product becomes; names of new values begin with that of its result."""

    def __init__(self, graph: GraphValues, node: onnx.NodeProto, concat: onnx.NodeProto) -> None:
        self._graph, self._node, self._base = graph, node, node.output[0]
        self._parts = _parts_of(graph, concat)
        self.nodes: list[onnx.NodeProto] = []

    def pays(self) -> bool:
        """Whether enough columns are repeated, and some are not."""
        repeated = sum(len(each.columns) for each in self._parts if each.once is not None)
        return repeated >= _FEWEST_COLUMNS and any(each.once is None for each in self._parts)

    def build(self) -> list[onnx.NodeProto]:
        """The nodes, the last of which makes what the product made."""
        repeated = [each for each in self._parts if each.once is not None]
        once = self._product([each.once or "" for each in repeated], self._weight(repeated, "once"), "once")
        if len(self._node.input) > 2:
            once = self._op("Add", [once, self._node.input[2]], "biased")
        single = [each for each in self._parts if each.once is None]
        if any(each.factor for each in single):
            whole = self._scaled(single, once)
        else:
            product = self._product([each.name for each in single], self._weight(single, "each"), "each")
            whole = self._op("Add", [product, once], "sum")
        merged = self._constant("shape", np.array([-1, self._graph.columns(self._base)], np.int64))
        self.nodes.append(onnx.helper.make_node("Reshape", [whole, merged], [self._base]))
        return self.nodes

    def _scaled(self, parts: list[_Part], once: str) -> str:
        """The product by weights of the batch's own; a column of ones adds what is the same for all rows."""
        plain = [each for each in parts if each.factor is None]
        bases = list(dict.fromkeys(each.base for each in parts if each.base is not None))
        others = [each for each in plain if each.name not in bases]
        weights = [self._own_weight(parts, base, f"base_{place}") for place, base in enumerate(bases)]
        if others:
            sizes = self._op("Shape", [once], "sizes")
            weights.append(self._op("Expand", [self._weight(others, "others"), sizes], "others"))
        names = [*bases, *(each.name for each in others)]
        ends = self._constant("ends", np.array([0, 0, 0, 0, 0, 1], np.int64))
        names[-1] = self._op("Pad", [names[-1], ends, self._constant("one", np.float32(1))], "ones")
        return self._product(names, self._op("Concat", [*weights, once], "weights", axis=1), "each")

    def _own_weight(self, parts: list[_Part], base: str, kind: str) -> str:
        """The sum of the weights that a base meets, scaled for its multiples."""
        terms = []
        for place, each in enumerate(each for each in parts if base in (each.name, each.base)):
            term = self._weight([each], f"{kind}_{place}")
            if each.factor is not None:
                turned = self._op("Transpose", [each.factor], f"{kind}_{place}_factor", perm=[0, 2, 1])
                term = self._op("Mul", [turned, term], f"{kind}_{place}_scaled")
            terms.append(term)
        total = terms[0]
        for place, term in enumerate(terms[1:]):
            total = self._op("Add", [total, term], f"{kind}_sum_{place}")
        return total

    def _product(self, names: list[str], weight: str, kind: str) -> str:
        joined = self._op("Concat", names, kind, axis=-1) if len(names) > 1 else names[0]
        return self._op("MatMul", [joined, weight], f"{kind}_product")

    def _weight(self, parts: list[_Part], kind: str) -> str:
        """The rows of the weight that the parts' columns meet."""
        rows = self._constant(f"{kind}_rows", np.concatenate([each.columns for each in parts]))
        return self._op("Gather", [self._node.input[1], rows], f"{kind}_weight", axis=0)

    def _op(self, op: str, inputs: list[str], kind: str, **attributes: Any) -> str:
        name = f"{self._base}_{kind}"
        self.nodes.append(onnx.helper.make_node(op, inputs, [name], **attributes))
        return name

    def _constant(self, kind: str, value: object) -> str:
        return self._graph.constant(f"{self._base}_{kind}", value)


def split_products(graph: GraphValues, node: onnx.NodeProto) -> list[onnx.NodeProto]:
    """What a node becomes: itself, or the parts of the product that it is."""
    concat = _concat_before(graph, node)
    split = _Split(graph, node, concat) if concat is not None else None
    return split.build() if split is not None and split.pays() else [node]


def _parts_of(graph: GraphValues, concat: onnx.NodeProto) -> list[_Part]:
    ends = np.cumsum([graph.columns(name) for name in concat.input])
    columns = np.split(np.arange(ends[-1]), ends[:-1])
    found = []
    for name, each in zip(concat.input, columns, strict=True):
        once = _repeated(graph, name)
        base, factor = (None, None) if once else _multiple_of(graph, name, concat)
        found.append(_Part(name=name, columns=each, once=once, base=base, factor=factor))
    multiples = {each.name for each in found if each.factor is not None}
    return [replace(each, base=None, factor=None) if each.base in multiples else each for each in found]


def _multiple_of(graph: GraphValues, name: str, concat: onnx.NodeProto) -> tuple[str | None, str | None]:
    """The operand of the concat, and the row of factors, whose product a value is; None where it is none."""
    whole, product = graph.shape(name), graph.maker(name, "Mul")
    if product is None or whole is None or (isinstance(whole[1], int) and whole[1] < _FEWEST_ROWS):
        return None, None
    for base, factor in (product.input, reversed(product.input)):
        alone = _repeated(graph, base) is None and graph.shape(base) == whole
        if base in concat.input and alone and graph.shape(factor) == (whole[0], 1, whole[2]):
            return base, factor
    return None, None


def _concat_before(graph: GraphValues, node: onnx.NodeProto) -> onnx.NodeProto | None:
    """The concat of three axes whose columns a product by a constant reads; None where there is no such."""
    values = {
        each.name: each.f if each.type == onnx.AttributeProto.FLOAT else each.i for each in node.attribute
    }
    plain = {"alpha": 1.0, "beta": 1.0, "transA": 0, "transB": 0}
    if node.op_type != "Gemm" or any(values.get(name, usual) != usual for name, usual in plain.items()):
        return None
    reshape = graph.maker(node.input[0], "Reshape")
    concat = graph.maker(reshape.input[0], "Concat") if reshape is not None else None
    if reshape is None or concat is None or not graph.is_float32(node.input[1]):
        return None
    merged, whole, product = (
        graph.shape(each) for each in (reshape.output[0], concat.output[0], node.output[0])
    )
    axis = next(each.i for each in concat.attribute if each.name == "axis")
    if merged is None or whole is None or product is None or len(whole) != 3 or axis not in (-1, 2):
        return None
    if merged[-1] != whole[-1] or not 0 < graph.columns(node.output[0]) <= _WIDEST:
        return None
    if any(graph.columns(name) < 1 for name in concat.input):
        return None
    return concat


def _repeated(graph: GraphValues, name: str) -> str | None:
    """What is repeated along the middle of three axes to make a value; None where nothing is."""
    expand = graph.maker(name, "Expand")
    if expand is None:
        return None
    before, after = graph.shape(expand.input[0]), graph.shape(name)
    if before is None or after is None or len(before) != 3 or before[1] != 1 or after[1] == 1:
        return None
    return expand.input[0] if (before[0], before[2]) == (after[0], after[2]) else None
