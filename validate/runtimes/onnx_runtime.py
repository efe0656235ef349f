"""ONNX Runtime on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pocketrec.errors import (
    ArtifactError,
    ExecutionError,
    MissingExtra,
    UnsupportedOp,
    UsageError,
    in_one_line,
)
from pocketrec.validate.artifact.onnx_file import load_onnx
from pocketrec.validate.runtimes.runtime import Array, Description, TensorSpec, check_inputs, float_precision

_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int8)": "int8",
    "tensor(uint8)": "uint8",
    "tensor(int16)": "int16",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
    "tensor(string)": "object",
}


class OnnxRuntime:
    """An .onnx file, loaded for the CPU with `threads` threads inside an op and one between ops."""

    def __init__(self, path: str | Path, *, threads: int = 1) -> None:
        try:
            import onnxruntime
        except ModuleNotFoundError:
            raise MissingExtra("onnxruntime", "build") from None
        self._path = Path(path)
        load_onnx(self._path)  # which refuses what ONNX Runtime waits for, or ends the process of
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 4  # what goes wrong is raised, not logged
        try:
            self._session: Any = onnxruntime.InferenceSession(
                str(self._path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            said = in_one_line(error)
            raise ArtifactError(
                f"{self._path.name}: ONNX Runtime cannot load it ({said}); build or pull it again"
            ) from error
        self._version = str(onnxruntime.__version__)
        self._description = self._describe()

    def _describe(self) -> Description:
        session = self._session
        inputs = tuple(_spec(each, self._path.name) for each in session.get_inputs())
        outputs = tuple(_spec(each, self._path.name) for each in session.get_outputs())
        metadata = dict(session.get_modelmeta().custom_metadata_map)
        return Description(
            runtime="onnxruntime",
            version=self._version,
            precision=float_precision((*inputs, *outputs), metadata),
            compute_units="cpu",
            inputs=inputs,
            outputs=outputs,
            metadata=metadata,
        )

    def describe(self) -> Description:
        """Inputs, outputs and metadata as the session gives them."""
        return self._description

    def run(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        """All outputs by name; ExecutionError where the engine fails, such as an id beyond a table."""
        check_inputs(self._description.inputs, inputs, where=self._path.name)
        if self._session is None:
            raise UsageError(f"{self._path.name}: the runtime is closed; open the artifact again")
        names = [spec.name for spec in self._description.outputs]
        try:
            values = self._session.run(names, dict(inputs))
        except Exception as error:
            raise ExecutionError(f"{self._path.name}: ONNX Runtime failed: {in_one_line(error)}") from error
        return dict(zip(names, values, strict=True))

    def close(self) -> None:
        """Release the session; a second call does nothing."""
        self._session = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()


def _spec(value: Any, where: str) -> TensorSpec:
    if not str(value.type).startswith("tensor("):
        raise UnsupportedOp(
            f"{where}: {value.name!r} is a {value.type}; only tensors are taken and given, so leave the op "
            "out that makes it (of scikit-learn's converters: zipmap=False)"
        )
    shape = tuple(size if isinstance(size, int) else None for size in value.shape)
    bounds = tuple((1, None) if size is None else (size, size) for size in shape)
    return TensorSpec(
        name=value.name, dtype=str(_DTYPES.get(value.type, value.type)), shape=shape, bounds=bounds
    )
