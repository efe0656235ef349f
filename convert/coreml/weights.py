"""The seam to coremltools: its blobs are laid out by us, and tables are written after it is done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.convert.coreml.blobs import BlobLayout
from pocketrec.convert.lower.placed import write_tables
from pocketrec.files import written_file
from pocketrec.source.stubs import Stub
from pocketrec.source.tables import Table

_KINDS = {"float32": "float", "float16": "fp16"}


@contextmanager
def laid_out() -> Iterator[list[BlobLayout]]:
    """The layouts of the weight files that coremltools writes meanwhile; it writes none itself."""
    from pocketrec.convert.coreml.patches import blobs_written_by

    layouts: list[BlobLayout] = []

    def make(path: str) -> BlobLayout:
        Path(path).touch()  # coremltools packs the folder as it finds it
        layouts.append(BlobLayout())
        return layouts[-1]

    with blobs_written_by(make, _offset, _no_bias):
        yield layouts


def _offset(var: Any, layout: BlobLayout, original: Any) -> int:
    if not isinstance(var.val, Stub):
        return int(original(var, layout))
    from coremltools.converters.mil.mil import types

    narrow = {getattr(types, name): name for name in ("int4", "uint1", "uint2", "uint3", "uint4", "uint6")}
    name = str(var.val.dtype)
    return layout.add(var.val, narrow.get(var.dtype, _KINDS.get(name, name)))


def _no_bias(self: Any) -> Any:
    """What coremltools' `linear` takes where it has no bias, without a Python list of catalogue length."""
    from coremltools.converters.mil.mil.input_type import DefaultInputs

    return DefaultInputs(bias=np.zeros(self.weight.shape[0], self.weight.val.dtype))


def write_weights(package: Path, layouts: Sequence[BlobLayout], tables: Sequence[Table]) -> None:
    """Writes the weight file of the package at `package`, tables included."""
    weights = next(package.glob("Data/**/weight.bin"), None)
    if weights is None:
        return
    (layout,) = layouts
    with written_file(weights, layout.size_bytes) as file:
        layout.write(file)
        write_tables(tables, layout.reserved, file)
