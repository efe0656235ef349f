"""What the converters give by themselves: the same models and the same check, without pocketrec's path."""

from __future__ import annotations

import contextlib
import io
import tempfile
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from coverage_child import check, crashed, open_run
from coverage_models import Built
from coverage_probes import tensors
from torch import Generator, Tensor, nn
from torch.utils import _pytree

COLUMNS = ("coremltools export", "coremltools trace", "torch.onnx")


class Flat(nn.Module):
    """The module with its inputs and outputs flattened to tensors, since tracing takes nothing else."""

    def __init__(self, module: nn.Module, example: tuple[Any, ...]) -> None:
        super().__init__()
        self.module = module
        leaves, self.spec = _pytree.tree_flatten(example)
        self.fixed = [None if isinstance(each, Tensor) else each for each in leaves]
        self.places = [index for index, each in enumerate(leaves) if isinstance(each, Tensor)]

    def forward(self, *flat: Tensor) -> tuple[Tensor, ...]:
        leaves: list[Any] = list(self.fixed)
        for index, value in zip(self.places, flat, strict=True):
            leaves[index] = value
        return tuple(tensors(self.module(*_pytree.tree_unflatten(leaves, self.spec))))


def to_coreml(program: Any, flat: list[Tensor], path: Path, traced: bool) -> list[str]:
    import coremltools as ct

    kinds = {torch.float32: np.float32, torch.int64: np.int32, torch.int32: np.int32, torch.bool: np.bool_}
    inputs = [ct.TensorType(shape=each.shape, dtype=kinds[each.dtype]) for each in flat] if traced else None
    model = ct.convert(
        program,
        inputs=inputs,
        convert_to="mlprogram",
        compute_precision=ct.precision.FLOAT32,
        minimum_deployment_target=ct.target.iOS17,
        skip_model_load=True,
    )
    model.save(str(path))
    return [each.name for each in model.get_spec().description.output]


def by_export(flat_module: Flat, flat: list[Tensor], folder: Path) -> tuple[Path, list[str]]:
    path = folder / "exported.mlpackage"
    program = torch.export.export(flat_module, tuple(flat), strict=False).run_decompositions({})
    return path, to_coreml(program, flat, path, traced=False)


def by_trace(flat_module: Flat, flat: list[Tensor], folder: Path) -> tuple[Path, list[str]]:
    path = folder / "traced.mlpackage"
    program = torch.jit.trace(flat_module, tuple(flat), check_trace=False)
    return path, to_coreml(program, flat, path, traced=True)


def by_onnx(flat_module: Flat, flat: list[Tensor], folder: Path) -> tuple[Path, list[str]]:
    path = folder / "plain.onnx"
    program = torch.onnx.export(flat_module, tuple(flat), dynamo=True, verbose=False)
    assert program is not None
    program.save(str(path))
    return path, [str(each.name) for each in program.model.graph.outputs]


WAYS: dict[str, Callable[[Flat, list[Tensor], Path], tuple[Path, list[str]]]] = dict(
    zip(COLUMNS, (by_export, by_trace, by_onnx), strict=True)
)


def convert_plainly(built: Built, columns: Sequence[str]) -> dict[str, dict[str, Any]]:
    """One result per column; every failure of a converter counts as `crashed`, it gives no reasons."""
    example = built.draw(Generator().manual_seed(1), built.batch)
    flat = tensors(example)
    module = Flat(built.module, example).eval()
    results = {}
    for column in columns:
        with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
            try:
                with warnings.catch_warnings(), torch.no_grad():
                    warnings.simplefilter("ignore")
                    path, outputs = WAYS[column](module, [each.clone() for each in flat], Path(folder))
                run, accepts, float16 = open_run(path, _input_names(path, len(flat)), outputs)
                results[column] = check(built, run, accepts, float16=float16)
            except Exception as error:
                results[column] = crashed(error, stage="convert")
    return results


def _input_names(path: Path, count: int) -> list[str]:
    import pocketrec

    names = [each.name for each in pocketrec.open(path).describe().inputs]
    if len(names) != count:
        raise AssertionError(f"{len(names)} inputs are left of {count}")
    return names
