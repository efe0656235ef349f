"""An ONNX graph without what nothing reads: notes of the exporter, defaults, constants that are there twice.

Beside tables in 8 bits these are a third of what a small recommender's file holds besides its tensors.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx.numpy_helper import to_array

from pocketrec.convert.onnx.values import rename_inputs, replace_nodes, subgraphs

_SMALL = 64  # bytes of a constant that is looked for among others
_MATRIX = 2  # axes


def strip(model: onnx.ModelProto) -> None:
    """Takes off what the exporter notes of its own program, and empty words; nodes keep their names."""
    described: list[Any] = [model]
    for graph in _graphs(model.graph):
        described += [graph, *graph.input, *graph.output, *graph.value_info, *graph.initializer, *graph.node]
    for each in described:
        del each.metadata_props[:]
        each.ClearField("doc_string")
    for graph in _graphs(model.graph):
        for node in graph.node:
            if not node.domain:
                node.ClearField("domain")


def drop_defaults(model: onnx.ModelProto) -> None:
    """Takes out attributes that say what the operator's own definition says without them."""
    (opset,) = (each.version for each in model.opset_import if not each.domain)
    whole = {each.name for each in model.graph.initializer if _is_whole(each)}
    for node in _nodes(model.graph):
        if node.domain:
            continue  # defined elsewhere
        defined = onnx.defs.get_schema(node.op_type, max_inclusive_version=opset).attributes
        # What a size of zero means is nothing to a shape that has none.
        idle = {"allowzero"} if node.op_type == "Reshape" and node.input[1] in whole else set[str]()
        kept = [each for each in node.attribute if each.name not in idle and not _is_default(each, defined)]
        if len(kept) < len(node.attribute):
            del node.attribute[:]
            node.attribute.extend(kept)


def _is_whole(constant: onnx.TensorProto) -> bool:
    """Whether it is small, and none of its numbers is zero."""
    return 0 < len(constant.raw_data) <= _SMALL and bool(to_array(constant).all())


def _is_default(attribute: onnx.AttributeProto, defined: dict[str, onnx.defs.OpSchema.Attribute]) -> bool:
    known = defined.get(attribute.name)
    if known is None or known.default_value.type != attribute.type:
        return False  # where there is no default, its type is none
    value = onnx.helper.get_attribute_value
    return bool(value(attribute) == value(known.default_value))


def share_constants(graph: onnx.GraphProto, tensors: Collection[str]) -> None:
    """Lets all nodes read one of equal small constants; `tensors`, whose names say what they are, stay."""
    first: dict[bytes, str] = {}
    same: dict[str, str] = {}
    outputs = {each.name for each in graph.output}
    for each in graph.initializer:
        if each.name in tensors or each.name in outputs or not 0 < len(each.raw_data) <= _SMALL:
            continue
        nameless = onnx.TensorProto()
        nameless.CopyFrom(each)
        nameless.ClearField("name")
        name = first.setdefault(nameless.SerializeToString(deterministic=True), each.name)
        if name != each.name:
            same[each.name] = name
    for node in graph.node if same else ():
        rename_inputs(node, same)
    kept = [each for each in graph.initializer if each.name not in same]
    if same:
        del graph.initializer[:]
        graph.initializer.extend(kept)


def share_turned(graph: onnx.GraphProto, tensors: Collection[str]) -> None:
    """Has a node transpose one of `tensors` where its transpose is stored beside it.

    The exporter folds transposes of small tables, so that one that is looked up and multiplied would be there
    twice. Engines fold them again when they load.
    """
    large = [each for each in graph.initializer if len(each.dims) == _MATRIX and len(each.raw_data) > _SMALL]
    known = {_digest(to_array(each)): each.name for each in large if each.name in tensors}
    turned = {
        each.name: known[digest]
        for each in large
        if each.name not in tensors and (digest := _digest(to_array(each).T)) in known
    }
    kept = [each for each in graph.initializer if each.name not in turned]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    nodes = [onnx.helper.make_node("Transpose", [each], [name], perm=[1, 0]) for name, each in turned.items()]
    replace_nodes(graph, [*nodes, *graph.node])


def _digest(values: npt.NDArray[Any]) -> tuple[str, tuple[int, ...], bytes]:
    """What is equal for equal matrices."""
    return values.dtype.str, values.shape, hashlib.sha256(np.ascontiguousarray(values).tobytes()).digest()


def _graphs(graph: onnx.GraphProto) -> Iterator[onnx.GraphProto]:
    yield graph
    for node in graph.node:
        for inner in subgraphs(node):
            yield from _graphs(inner)


def _nodes(graph: onnx.GraphProto) -> Iterator[onnx.NodeProto]:
    for each in _graphs(graph):
        yield from each.node
