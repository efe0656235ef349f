"""Parts of an ONNX file: any of them is cut out and run on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.errors import ExecutionError, in_one_line
from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.artifact.onnx_tensors import data_type, read_by, with_bytes
from pocketrec.validate.runtimes.runtime import Array


class OnnxEngine:
    """The calls of the ONNX graph that was read from `model`, of the file at `path`."""

    folded: Collection[str] = ()

    def __init__(self, model: Any, path: Path, graph: Graph) -> None:
        self._model, self._path, self._graph = model, path, graph
        nodes = model.graph.node
        self._nodes = [each for each in nodes if not _is_constant(each)]
        self._constants = {each.output[0]: each for each in nodes if _is_constant(each)}
        self._initializers = {each.name: each for each in model.graph.initializer}
        self._sparse = {each.values.name: each for each in model.graph.sparse_initializer}

    def known(self, given: Mapping[str, Array]) -> Collection[str]:
        """The given tensors."""
        return given.keys()

    def run(
        self, places: Sequence[int], names: Sequence[str], given: Mapping[str, Array]
    ) -> dict[str, Array]:
        """The named tensors, by ONNX Runtime on the nodes at these places."""
        found = {name: given[name] for name in names if name in given}
        wanted = [name for name in names if name not in found]
        if not wanted:
            return found
        calls = [self._graph.calls[place] for place in places]
        read = {name for call in calls for name in call.inputs}
        made = {name for call in calls for name in call.outputs}
        feeds = {name: self._as_stored(name, given[name]) for name in sorted(read - made) if name in given}
        values = self._run(self._cut(places, feeds, wanted), feeds, wanted)
        return found | {name: _wide(each) for name, each in zip(wanted, values, strict=True)}

    def _as_stored(self, name: str, array: Array) -> Array:
        """The array in the tensor's own dtype, which the reference's may not be."""
        import onnx

        kind = data_type(self._graph.dtype(name))
        return array.astype(onnx.helper.tensor_dtype_to_np_dtype(kind)) if kind else array

    def _cut(self, places: Sequence[int], feeds: Mapping[str, Array], wanted: Sequence[str]) -> Any:
        import onnx

        nodes = [self._nodes[place] for place in places]
        read = {*wanted, *(name for node in nodes for name in read_by(node))}
        inputs = [
            onnx.helper.make_tensor_value_info(
                name, onnx.helper.np_dtype_to_tensor_dtype(array.dtype), array.shape
            )
            for name, array in feeds.items()
        ]
        graph = onnx.helper.make_graph(
            [*(each for name, each in self._constants.items() if name in read), *nodes],
            "part",
            inputs,
            [onnx.helper.make_empty_tensor_value_info(name) for name in wanted],
            [with_bytes(each, self._path) for name, each in self._initializers.items() if name in read],
            sparse_initializer=[each for name, each in self._sparse.items() if name in read],
        )
        return onnx.helper.make_model(
            graph,
            opset_imports=self._model.opset_import,
            ir_version=self._model.ir_version,
            functions=self._model.functions,  # those of another opset, which are not inlined
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
            line = in_one_line(error)
            raise ExecutionError(
                f"{self._path.name}: ONNX Runtime failed on the way to {wanted[0]!r}: {line}"
            ) from error


def _is_constant(node: Any) -> bool:
    return bool(node.op_type == "Constant" and node.output)


def _wide(value: Any) -> Array:
    array = np.asarray(value)
    return array.astype(np.float32) if array.dtype == np.float16 else array
