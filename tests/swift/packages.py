"""Three small Core ML packages: scores with a float16 output, a state, and two functions in one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import coremltools as ct
import numpy as np
from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its name everywhere in MIL
from coremltools.converters.mil.mil import types

import pocketrec
from pocketrec.convert.coreml.patches import without_ado
from pocketrec.convert.watch.patches import quiet_converters

IOS18 = ct.target.iOS18
TABLE = np.random.default_rng(3).normal(size=(13, 4)).astype(np.float32)


def _converted(body: Any, specs: list[Any], **options: Any) -> Any:
    program = mb.program(input_specs=specs, opset_version=IOS18)(body)
    with quiet_converters(), without_ado():
        return ct.convert(
            program, convert_to="mlprogram", minimum_deployment_target=IOS18, skip_model_load=True, **options
        )


def write_scores(folder: Path) -> Path:
    """`ids` int32 [3] to `scores` float32 [3, 13] and `halves`, the same as float16."""

    def body(ids: Any) -> Any:
        rows = mb.gather(x=TABLE, indices=ids, axis=0)
        scores = mb.matmul(x=rows, y=TABLE, transpose_y=True, name="scores")
        return scores, mb.cast(x=scores, dtype="fp16", name="halves")

    outputs = [ct.TensorType(name="scores", dtype=np.float32), ct.TensorType(name="halves", dtype=np.float16)]
    model = _converted(
        body,
        [mb.TensorSpec((3,), dtype=types.int32)],
        compute_precision=ct.precision.FLOAT32,
        outputs=outputs,
    )
    model.short_description, model.author, model.version = "Rows times a table.", "pocketrec", "1.2"
    model.user_defined_metadata["key"] = "value"
    return _saved(model, folder / "scores.mlpackage")


def write_sums(folder: Path) -> Path:
    """`x` float16 [2] added to the state `sum`, which is `y`."""

    def body(x: Any, sum: Any) -> Any:  # noqa: A002 - the state is named after it
        total = mb.add(x=mb.read_state(input=sum), y=x)
        return mb.identity(x=mb.coreml_update_state(state=sum, value=total), name="y")

    specs = [mb.TensorSpec((2,), dtype=types.fp16), mb.StateTensorSpec((2,), dtype=types.fp16)]
    model = _converted(body, specs, compute_precision=ct.precision.FLOAT16)
    return _saved(model, folder / "sums.mlpackage")


def write_functions(folder: Path) -> Path:
    """`once` and `twice` of `x` float32 [2], as two functions."""
    description = ct.utils.MultiFunctionDescriptor()
    for name, factor in (("once", 1), ("twice", 2)):
        model = _converted(
            _times(factor),
            [mb.TensorSpec((2,))],
            compute_precision=ct.precision.FLOAT32,
        )
        description.add_function(str(_saved(model, folder / f"{name}.mlpackage")), "main", name)
    description.default_function_name = "once"
    path = folder / "functions.mlpackage"
    ct.utils.save_multifunction(description, str(path))
    return path


def _times(factor: int) -> Any:
    def body(x: Any) -> Any:
        return mb.mul(x=x, y=np.float32(factor), name="y")

    return body


def _saved(model: Any, path: Path) -> Path:
    model.save(str(path))
    return path


def write_fixtures(folder: Path) -> Path:
    """All packages, and `golden.json`: ids with the bits of the scores that the interpreter gives."""
    for write in (write_scores, write_sums, write_functions):
        write(folder)
    bits = {"scores": np.uint32, "halves": np.uint16}
    golden = []
    with pocketrec.open(folder / "scores.mlpackage", "coreml-interpreter") as model:
        for ids in ([0, 5, 12], [1, 1, 1], [7, 3, 0], [2, 11, 9]):
            outputs = model.run({"ids": np.array(ids, np.int32)})
            given = {name: outputs[name].view(kind).ravel().tolist() for name, kind in bits.items()}
            golden.append({"ids": ids, **given})
    (folder / "golden.json").write_text(json.dumps(golden))
    return folder
