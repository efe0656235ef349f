"""An ONNX file as a graph: any part of it is cut out and run on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.errors import ArtifactError, ExecutionError, PocketrecError
from pocketrec.origin import ORIGINS, Origin, from_text
from pocketrec.validate.artifact.graph import GraphOp, slice_ops
from pocketrec.validate.artifact.onnx_file import load_onnx
from pocketrec.validate.runtimes.runtime import Array, TensorSpec


class OnnxGraph:
    """The .onnx file at `path`; raises ArtifactError where it is damaged."""

    def __init__(self, path: Path) -> None:
        import onnx

        try:
            self._model = load_onnx(path)
            onnx.load_external_data_for_model(self._model, str(path.parent))
            inferred = onnx.shape_inference.infer_shapes(self._model, data_prop=False)
        except PocketrecError:
            raise
        except Exception as error:
            raise ArtifactError(f"{path.name}: not an ONNX model ({_line(error)}); pull it again") from error
        graph = self._model.graph
        self.name = path.name
        self._constants = {each.name: each for each in graph.initializer}
        self._sparse = {each.values.name: each for each in graph.sparse_initializer}
        known = {*self._constants, *self._sparse, ""}
        self.inputs = tuple(_spec(each) for each in graph.input if each.name not in known)
        self.outputs = tuple(each.name for each in graph.output)
        self.ops = tuple(_op(node, known) for node in graph.node)
        self._types = {
            each.name: each.type.tensor_type.elem_type
            for each in (*graph.input, *inferred.graph.value_info, *graph.output)
        }
        self.is_narrow = onnx.TensorProto.FLOAT16 in self._types.values()

    @property
    def origins(self) -> Mapping[str, Origin]:
        """The table in the model's metadata."""
        for each in self._model.metadata_props:
            if each.key == ORIGINS:
                return from_text(each.value, where=self.name)
        return {}

    def dtype(self, name: str) -> str:
        """As declared or inferred."""
        import onnx

        kind = self._types.get(name, 0)
        return str(onnx.helper.tensor_dtype_to_np_dtype(kind)) if kind else ""

    def evaluate(self, names: Sequence[str], given: Mapping[str, Array]) -> dict[str, Array]:
        """The named tensors, by ONNX Runtime on the part of the graph that leads to them."""
        found = {name: given[name] for name in names if name in given}
        wanted = [name for name in names if name not in found]
        if not wanted:
            return found
        places = slice_ops(self.ops, wanted, given)
        read = {name for place in places for name in self.ops[place].inputs}
        made = {name for place in places for name in self.ops[place].outputs}
        feeds = {name: self._as_stored(name, given[name]) for name in sorted(read - made) if name in given}
        values = self._run(self._cut(places, feeds, wanted), feeds, wanted)
        return found | {name: _wide(each) for name, each in zip(wanted, values, strict=True)}

    def _as_stored(self, name: str, array: Array) -> Array:
        """The array in the tensor's own dtype, which the reference's may not be."""
        import onnx

        kind = self._types.get(name, 0)
        return array.astype(onnx.helper.tensor_dtype_to_np_dtype(kind)) if kind else array

    def _cut(self, places: Sequence[int], feeds: Mapping[str, Array], wanted: Sequence[str]) -> Any:
        import onnx

        nodes = [self._model.graph.node[place] for place in places]
        read = {name for node in nodes for name in _read(node)}
        inputs = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in feeds.items()
        ]
        outputs = [onnx.helper.make_empty_tensor_value_info(name) for name in wanted]
        graph = onnx.helper.make_graph(
            nodes,
            "part",
            inputs,
            outputs,
            [each for name, each in self._constants.items() if name in read],
            sparse_initializer=[each for name, each in self._sparse.items() if name in read],
        )
        return onnx.helper.make_model(
            graph,
            opset_imports=self._model.opset_import,
            ir_version=self._model.ir_version,
            functions=self._model.functions,
        )

    def _run(self, model: Any, feeds: Mapping[str, Array], wanted: Sequence[str]) -> list[Any]:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            session = onnxruntime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            return list(session.run(list(wanted), dict(feeds)))
        except Exception as error:
            raise ExecutionError(
                f"{self.name}: ONNX Runtime failed on the way to {wanted[0]!r}: {_line(error)}"
            ) from error


def _op(node: Any, constants: set[str]) -> GraphOp:
    return GraphOp(
        type=node.op_type,
        name=node.name or (node.output[0] if node.output else node.op_type),
        inputs=tuple(dict.fromkeys(name for name in _read(node) if name not in constants)),
        outputs=tuple(name for name in node.output if name),
    )


def _read(node: Any) -> Iterator[str]:
    """The tensors that a node reads, those that its subgraphs take from outside among them."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            own = {each.name for each in (*graph.input, *graph.initializer)}
            for inner in graph.node:
                yield from (name for name in _read(inner) if name not in own)
                own.update(inner.output)
            yield from (each.name for each in graph.output if each.name not in own)


def _spec(value: Any) -> TensorSpec:
    import onnx

    dims = value.type.tensor_type.shape.dim
    shape = tuple(int(each.dim_value) if each.HasField("dim_value") else None for each in dims)
    return TensorSpec(
        name=value.name,
        dtype=str(onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)),
        shape=shape,
        bounds=tuple((1, None) if size is None else (size, size) for size in shape),
    )


def _wide(value: Any) -> Array:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
