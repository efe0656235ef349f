"""Apple's framework in a process of its own: one artifact is loaded, then every call is answered.

    open    {"path", "function", "compute_units", "compiled"}  ▶  {"ok", "ms", "version", "cached"}
    call    {} and tensors                                      ▶  {"ok", "ms"} and tensors
    a fault                                                     ▶  {"ok": false, "fault", "message"}

In the frames of `frames`; `ms` is the framework's own part. See `framework_process` for who asks.
"""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import TYPE_CHECKING

from pocketrec.validate.runtimes.lifeline import watched

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, BinaryIO

    from pocketrec.validate.runtimes.coreml_framework import CoreMLFramework
    from pocketrec.validate.runtimes.frames import Frame
    from pocketrec.validate.runtimes.runtime import Array

    Answer = tuple[Mapping[str, Any], Mapping[str, Array]]


def answer_all(reader: BinaryIO, writer: BinaryIO) -> None:
    """Answers frame after frame; returns where the stream of them ends, or the artifact does not load."""
    from pocketrec.validate.runtimes.frames import read_frame

    model: CoreMLFramework | None = None
    while (frame := read_frame(reader)) is not None:
        if model is not None:
            _told(writer, partial(_called, model, frame))
        elif (model := _told(writer, partial(_opened, frame))) is None:
            return


def _told(writer: BinaryIO, work: Callable[[], tuple[Answer, CoreMLFramework]]) -> CoreMLFramework | None:
    """Writes what the work answers, or its fault, in which case there is no model."""
    from pocketrec.errors import PocketrecError
    from pocketrec.validate.runtimes.faults import FrameworkFault
    from pocketrec.validate.runtimes.frames import write_frame

    try:
        (header, tensors), model = work()
    except PocketrecError as error:
        fault = error.fault if isinstance(error, FrameworkFault) else "failed"
        write_frame(writer, {"ok": False, "fault": fault, "message": str(error)})
        return None
    write_frame(writer, {"ok": True, **header}, tensors)
    return model


def _opened(frame: Frame) -> tuple[Answer, CoreMLFramework]:
    from pathlib import Path

    from pocketrec.validate.runtimes.coreml_framework import CoreMLFramework

    _import_quietly()
    header = frame.header
    model = CoreMLFramework(
        header["path"],
        compute_units=header["compute_units"],
        function=header["function"],
        compiled=Path(header["compiled"]) if header["compiled"] else None,
    )
    return ({"ms": model.load_ms, "cached": model.cached}, {}), model


def _import_quietly() -> None:
    """Imports coremltools without its words on what could be installed: the framework's are to be kept."""
    import logging

    logging.disable(logging.WARNING)
    import coremltools  # noqa: F401

    logging.disable(logging.NOTSET)


def _called(model: CoreMLFramework, frame: Frame) -> tuple[Answer, CoreMLFramework]:
    from time import perf_counter_ns

    inputs = frame.arrays("tensors")
    start = perf_counter_ns()
    outputs = model.run(inputs)
    return ({"ms": (perf_counter_ns() - start) / 1e6}, outputs), model


def _main(reads: int, writes: int, lifeline: int) -> None:
    watched(lifeline, (0, 1, 2, reads, writes))
    with os.fdopen(reads, "rb") as reader, os.fdopen(writes, "wb") as writer:
        answer_all(reader, writer)


if __name__ == "__main__":
    _main(*map(int, sys.argv[1:4]))
