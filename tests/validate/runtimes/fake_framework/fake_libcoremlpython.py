"""What coremltools reaches in Apple's framework, as far as coremltools' own source shows it: a fake.

Answers are the interpreter's. FAKE_CORE_ML lists what goes wrong, `WHEN=WHAT` or `WHEN=WHAT@UNITS`, with
commas between:

    WHEN    load  predict  state
    WHAT    hang           for ever, with the interpreter's lock held, as a native call does
            abort segv     the signal
            exit           the process ends, and says nothing
            refuse         an error, of which coremltools makes a warning when a model is loaded
            e5rt           an error in the words of a timeout of the engine
            zeros          all outputs, to predict only
            noise:SIZE     added to float outputs, to predict only
            garble         bytes that are no frame, into the pipe of answers
            print          to stdout and stderr, more than a pipe holds; the answer is honest
    UNITS   ALL  CPU_ONLY  CPU_AND_GPU  CPU_AND_NE: only with these
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

COMPILED = "package"  # in a compiled model of this fake: the package that it is of
SPECIFICATION = {"12": 6, "13": 7, "14": 8, "15": 9, "26": 10}


def asked(when: str, units: str) -> str:
    """What goes wrong now; empty where nothing does."""
    for each in filter(None, os.environ.get("FAKE_CORE_ML", "").split(",")):
        rule, _, only = each.partition("@")
        moment, _, what = rule.partition("=")
        if moment == when and only in ("", units):
            return what
    return ""


def go_wrong(what: str) -> None:
    """Does what needs no answer; returns where there is to be one."""
    if what == "hang":
        while True:
            ctypes.PyDLL(None).pause()  # PyDLL keeps the interpreter's lock
    if what in ("abort", "segv"):
        os.kill(os.getpid(), {"abort": signal.SIGABRT, "segv": signal.SIGSEGV}[what])
    if what == "exit":
        os._exit(0)
    if what == "refuse":
        raise RuntimeError('{\n    NSLocalizedDescription = "Error in declaring network.";\n}')
    if what == "e5rt":
        raise RuntimeError(
            "Unable to compute the asynchronous prediction using ML Program. E5RT: Submit Async failed for "
            "[2:1]: Async task: main__Op3_Cast has timed out. @ CancelTimedOutAsyncTask_block_invoke (10)"
        )
    if what == "garble":
        os.write(int(sys.argv[2]), b"\xff" * 64)
        go_wrong("hang")
    if what == "print":
        os.write(1, b"the framework says something\n" * 10_000)
        print("and Python, too", file=sys.stderr)


class State:
    """What `newState` gives."""

    def __init__(self, held: dict[str, Any]) -> None:
        self.held = held

    def read_state(self, name: str) -> Any:
        return self.held[name].value

    def write_state(self, name: str, value: Any) -> None:
        self.held[name].value = value


class _MLModelProxy:
    """A loaded model; the arguments are those that coremltools passes."""

    def __init__(self, path: str, units: str, function: str, hints: Mapping[str, str], asset: Any) -> None:
        from pocketrec.validate.coreml_program.interpreter import CoreMLInterpreter

        self.units = units
        go_wrong(asked("load", units))
        self.compiled = path if path.endswith(".mlmodelc") else self.compileModel(path)
        package = next((Path(self.compiled) / COMPILED).iterdir(), None)
        if package is None:
            raise RuntimeError("the compiled model is damaged")
        self.program = CoreMLInterpreter(package, function=function or None)

    @staticmethod
    def maximum_supported_specification_version() -> int:
        return SPECIFICATION[os.environ["FAKE_CORE_ML_MACOS"].partition(".")[0]]

    @staticmethod
    def compileModel(path: str) -> str:
        log = os.environ.get("FAKE_CORE_ML_COMPILATIONS")
        if log is not None:
            with Path(log).open("a") as file:
                file.write(f"{Path(path).name}\n")
        made = Path(tempfile.mkdtemp()) / "model.mlmodelc"
        copy = made / COMPILED / Path(path).name
        (shutil.copytree if Path(path).is_dir() else shutil.copy)(path, copy)
        return str(made)

    def get_compiled_model_path(self) -> str:
        return self.compiled

    def predict(self, data: dict[str, Any], state: State | None) -> dict[str, Any]:
        what = asked("predict", self.units)
        go_wrong(what)
        if self.program.states and state is None:
            raise RuntimeError("The model has states, and none was passed")
        # coremltools hands float16 over as float32, and Core ML takes it so.
        taken = {each.name: each.dtype for each in self.program.describe().inputs}
        given = {name: array.astype(taken.get(name, array.dtype)) for name, array in data.items()}
        outputs = self.program.run(given, state=None if state is None else state.held)
        if what == "zeros":
            return {name: np.zeros_like(each) for name, each in outputs.items()}
        if what.startswith("noise:"):
            size, rng = float(what.partition(":")[2]), np.random.default_rng(0)
            noisy = {name: np.asarray(each) for name, each in outputs.items()}
            for name, each in noisy.items():
                if each.dtype.kind == "f":
                    noisy[name] = (each.astype(np.float64) + rng.normal(0, size, each.shape)).astype(
                        each.dtype
                    )
            return noisy
        return outputs

    def newState(self) -> State:
        go_wrong(asked("state", self.units))
        return State(self.program.make_state())


class _MLModelAssetProxy:
    """Only that it can be imported."""
