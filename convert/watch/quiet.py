"""The converters' own chatter, kept off the terminal: one progress display is enough."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partialmethod
from importlib import import_module
from typing import Any

from tqdm import tqdm

_NAMES = (
    None,
    "torch.onnx",
    "torch.export",
    "torch.fx.experimental.symbolic_shapes",
    "onnxscript",
    "onnx_ir",
    "coremltools",
)


@contextmanager
def quiet_converters() -> Iterator[None]:
    """Nothing; while it lasts, logs below errors, warnings and foreign progress bars are silent."""
    loggers = [logging.getLogger(name) for name in _NAMES]
    levels = [each.level for each in loggers]
    show = tqdm.__init__
    exporter: Any = import_module("torch.export._trace")
    exporter.print = _silent  # it prints the graph that it has, before it raises
    for each in loggers:
        # What goes wrong is raised, and told in one line.
        each.setLevel(logging.CRITICAL)
    tqdm.__init__ = partialmethod(show, disable=True)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        tqdm.__init__ = show
        vars(exporter).pop("print", None)
        for each, level in zip(loggers, levels, strict=True):
            each.setLevel(level)


def _silent(*_: Any, **__: Any) -> None:
    pass
