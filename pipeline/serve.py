"""An artifact answered over a pipe, a frame a prediction: what stands behind the CoreML of swift/CoreMLLinux.

A request that cannot be answered gets an error frame, and the next one is read. Only a stream whose next
frame cannot be found ends, after an error frame.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from pocketrec.errors import InputError, PocketrecError
from pocketrec.pipeline.opening import formats, open_artifact
from pocketrec.validate.open import format_of
from pocketrec.validate.runtimes.frames import LISTS, Frame, read_frame, write_frame
from pocketrec.validate.runtimes.runtime import Array, Runtime, TensorSpec, check_inputs

SCHEMA = 1
_INTERPRETER = "coreml-interpreter"


def serve(path: Path, function: str | None, reader: BinaryIO, writer: BinaryIO) -> None:
    """Answers every request of `reader` with the artifact at `path`; returns where it ends between frames.

    The first frame describes the function, or is the error that opening the artifact gave.

    Args:
        path: any artifact that pocketrec opens; Core ML's by the interpreter.
        function: of an artifact that holds several; by default the first.
        reader: of requests.
        writer: of one reply each.

    Raises:
        PocketrecError: the artifact cannot be opened, or a frame cannot be read; an error frame said so.
    """
    try:
        with _told(writer), _opened(path, function) as artifact:
            write_frame(writer, description(artifact))
            while (frame := read_frame(reader)) is not None:
                answer(artifact, frame, writer)
    except BrokenPipeError:
        return  # nobody is left to answer


def _opened(path: Path, function: str | None) -> Runtime:
    return open_artifact(path, _engine(path), compute_units="all", function=function)


def _engine(path: Path) -> str | None:
    """The interpreter where it is one of the format's engines, on a Mac too; else the format's first."""
    return _INTERPRETER if _INTERPRETER in format_of(path, formats()).runtimes else None


class _told:  # noqa: N801 - a context, read as a verb
    """Whatever ends the serving is an error frame first."""

    def __init__(self, writer: BinaryIO) -> None:
        self._writer = writer

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, BrokenPipeError):
            with suppress(BrokenPipeError):  # the error is still the command's
                _refuse(self._writer, error)


def _refuse(writer: BinaryIO, error: Exception) -> None:
    message = " ".join(str(error).split()) or type(error).__name__
    write_frame(writer, {"ok": False, "error": {"kind": type(error).__name__, "message": message}})


def answer(artifact: Runtime, frame: Frame, writer: BinaryIO) -> None:
    """Writes the outputs of a request, or the error of one that cannot be answered."""
    try:
        surplus = sorted(set(frame.header) - set(LISTS))
        if surplus:
            raise InputError(f"frame: key {surplus[0]!r} is not known; expected {' or '.join(LISTS)}")
        outputs, states = run(artifact, frame.arrays("tensors"), frame.arrays("states"))
    except PocketrecError as error:
        _refuse(writer, error)
    else:
        write_frame(writer, {"ok": True}, outputs, states)


def run(
    artifact: Runtime, inputs: Mapping[str, Array], states: Mapping[str, Array]
) -> tuple[dict[str, Array], dict[str, Array]]:
    """The outputs, and what the states hold after the call, each of its declared dtype.

    Raises:
        InputError: an input or a state is unknown, missing, or of another dtype or shape.
        ExecutionError: the program did what it must not do.
    """
    from pocketrec.validate.coreml_program import CoreMLInterpreter

    held = states_of(artifact)
    check_inputs(held, states, where="states")
    if not isinstance(artifact, CoreMLInterpreter) or not held:
        return artifact.run(inputs), {}
    state = artifact.make_state()
    for name, each in states.items():
        state[name].value = each.astype(state[name].value.dtype)
    outputs = artifact.run(inputs, state=state)
    return outputs, {spec.name: np.asarray(state[spec.name].value, spec.dtype) for spec in held}


def states_of(artifact: Runtime) -> tuple[TensorSpec, ...]:
    """The states of the function; none for an engine that has no such thing."""
    from pocketrec.validate.coreml_program import CoreMLInterpreter

    return artifact.states if isinstance(artifact, CoreMLInterpreter) else ()


def description(artifact: Runtime) -> dict[str, Any]:
    """The first frame's header: what the function takes, gives and keeps, and who made it."""
    from pocketrec.validate.coreml_program import CoreMLInterpreter

    said = artifact.describe()
    return {
        "ok": True,
        "schema": SCHEMA,
        "runtime": f"{said.runtime} {said.version}",
        "functions": list(said.functions),
        "inputs": [_spec(each) for each in said.inputs],
        "outputs": [_spec(each) for each in said.outputs],
        "kept": [_spec(each) for each in states_of(artifact)],
        "about": dict(artifact.about) if isinstance(artifact, CoreMLInterpreter) else {},
        "metadata": dict(said.metadata),
    }


def _spec(spec: TensorSpec) -> dict[str, Any]:
    bounds = spec.bounds or tuple((size or 0, size) for size in spec.shape)
    return {
        "name": spec.name,
        "dtype": spec.dtype,
        "bounds": [list(each) for each in bounds],
        "enumerated": [list(each) for each in spec.enumerated],
        "optional": spec.optional,
    }
