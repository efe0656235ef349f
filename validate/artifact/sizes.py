"""What an artifact holds, read from its file alone: tensors, bytes, ops, inputs and outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pocketrec.errors import UsageError
from pocketrec.origin import Carried
from pocketrec.outside import exists
from pocketrec.report import TensorSize
from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.artifact.stored import StoredTensor, of_carried, of_ops, stated
from pocketrec.validate.open import FORMATS, Format, open_graph
from pocketrec.validate.runtimes.runtime import TensorSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class ArtifactDescription:
    """What `pocketrec inspect` shows of an artifact.

    Attributes:
        format: `onnx` or `coreml`.
        version: opset, or the Core ML specification's version.
        inputs: in the artifact's order.
        outputs: in the artifact's order.
        op_counts: op to how often it stands in the program, most frequent first; constants left out.
        tensors: stored tensors, largest first.
        compressed: the tensors that are stored compressed, largest first.
        metadata: the artifact's own key-value pairs.
        about: what it says of itself to people, such as its author and its license.
        size_bytes: on disk, external data included.
        unknown: why it is not known which tensors are compressed, in words; else empty.
    """

    path: str
    format: str
    version: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    op_counts: Mapping[str, int]
    tensors: tuple[TensorSize, ...]
    compressed: tuple[StoredTensor, ...]
    metadata: Mapping[str, str]
    about: Mapping[str, str]
    size_bytes: int
    unknown: str = ""


def artifact_bytes(path: str | Path, *, formats: Mapping[str, Format] = FORMATS) -> int:
    """Bytes on disk of a file with its external data, or of a folder."""
    path = Path(path)
    if not exists(path):
        raise UsageError(f"{path}: no such artifact")
    return _folder_bytes(path) if path.is_dir() else _bytes(open_graph(path, formats=formats))


def weigh(path: Path, *, formats: Mapping[str, Format] = FORMATS) -> tuple[int, tuple[TensorSize, ...]]:
    """An artifact's bytes on disk and the tensors that it stores, largest first; its graph is read once."""
    graph = open_graph(path, formats=formats)
    return _folder_bytes(path) if path.is_dir() else _bytes(graph), stored_tensors(graph)


def tensor_sizes(path: str | Path, *, formats: Mapping[str, Format] = FORMATS) -> tuple[TensorSize, ...]:
    """The tensors that the artifact stores, largest first, ties by name."""
    return stored_tensors(open_graph(Path(path), formats=formats))


def stored_tensors(graph: Graph) -> tuple[TensorSize, ...]:
    """The tensors of a graph that take bytes of the file, largest first, ties by name."""
    found = [
        TensorSize(
            name=each.own_name,
            dtype=each.dtype,
            shape=tuple(size or 0 for size in each.shape or ()),
            size_bytes=each.stored_bytes or 0,
        )
        for each in graph.stored
    ]
    return tuple(sorted(found, key=lambda each: (-each.size_bytes, each.name)))


def describe_artifact(
    path: str | Path,
    *,
    formats: Mapping[str, Format] = FORMATS,
    known: Callable[[Graph, Path], tuple[Mapping[str, Carried], str]] | None = None,
) -> ArtifactDescription:
    """Inputs, outputs, ops, bytes per tensor and metadata, without loading any engine.

    `known` gives what is known from elsewhere of the module's tensors that are compressed, or why nothing is.
    """
    graph = open_graph(Path(path), formats=formats)
    carried, unknown = ({}, "") if known is None else known(graph, Path(path))
    compressed = of_carried(carried) or stated(graph.metadata) or of_ops(graph)
    return ArtifactDescription(
        path=str(path),
        format=graph.format,
        version=graph.version,
        inputs=graph.inputs,
        outputs=graph.outputs,
        op_counts=dict(Counter(op.type for op in graph.ops).most_common()),
        tensors=stored_tensors(graph),
        compressed=compressed,
        unknown="" if compressed else unknown,
        metadata=graph.metadata,
        about=graph.about,
        size_bytes=_bytes(graph),
    )


def _folder_bytes(path: Path) -> int:
    return sum(each.stat().st_size for each in path.rglob("*") if each.is_file())


def _bytes(graph: Graph) -> int:
    return sum(each.stat().st_size for each in graph.files)
