"""A pytest plugin that lets coremltools' own op tests predict with our interpreter.

On Linux these tests build and convert a program and stop before the prediction. Here coremltools
believes that it is on macOS, `MLModel.predict` is the interpreter, and every case tells whether it
reached a prediction of an ML Program. Cases of the neuralnetwork backend are skipped.

Loaded with `-p conformance.plugin` by run.py, in the controller of pytest-xdist and in its workers.
"""

from __future__ import annotations

import functools
import gc
import json
import os
import zlib
from collections.abc import Generator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

_MACOS = (15, 6)  # new enough for every skip by version in the tests
_OPSETS = {6: "iOS15", 7: "iOS16", 8: "iOS17", 9: "iOS18"}  # by specification version
# coremltools compares within 1e-4 and 1e-5 in precision fp32, and within 0.5 in fp16. Programs of
# precision fp32 that hold float16 tensors all the same cannot meet the first: one rounding to float16 is
# off by up to 2^-11, relative. This allows them four; the report says which cases needed it.
_MIXED_TOLERANCE = 4 * 2.0**-11
_ASSERTS_A_TIME = "TestSliceByIndex::test_efficient_type_inference"


class Case:
    """What the running case has done so far."""

    opset = ""
    widened = False  # whether it passed by `_MIXED_TOLERANCE` only


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--conformance-report", help="where to write the outcomes as JSON")
    group.addoption("--conformance-progress", type=int, help="file descriptor to say on how far it is")
    group.addoption("--conformance-sample", type=int, default=0, help="cases per test function; 0 for all")
    group.addoption("--conformance-break", help="op type whose results are made wrong on purpose")


def pytest_configure(config: pytest.Config) -> None:
    """Turn the prediction on before any test module is imported."""
    import coremltools as ct
    from coremltools.converters.mil import testing_utils
    from coremltools.models import model, utils

    from pocketrec.errors import ExecutionError
    from pocketrec.validate import coreml_program

    for module in (model, utils):
        module._is_macos = lambda: True
        module._macos_version = lambda: _MACOS
    testing_utils._IS_MACOS = True
    testing_utils.compare_backend = _comparing(testing_utils.compare_backend)
    _convert_without_ado()
    coreml_program.install()
    if config.getoption("--conformance-break"):
        _break(config.getoption("--conformance-break"))
    predict = ct.models.MLModel.predict

    def watched(self: Any, data: Any, state: Any = None) -> Any:
        if self._spec.WhichOneof("Type") != "mlProgram":
            pytest.skip("not an ML Program")
        Case.opset = _OPSETS[self._spec.specificationVersion]
        try:
            return predict(self, data, state)
        except ExecutionError as error:
            # Some tests expect a failure, and know it by the framework's words.
            raise RuntimeError(f"Unable to compute the prediction using ML Program: {error}") from error

    ct.models.MLModel.predict = watched
    config.pluginmanager.register(Outcomes(config), "conformance-outcomes")


def _convert_without_ado() -> None:
    """Spare `ct.convert` what takes half its time and changes no program.

    It collects garbage once per conversion, checks the program after each of a hundred passes (the
    checks between pipelines stay), and builds the patterns of two fusions anew each time.
    """
    from coremltools.converters import _converters_entry
    from coremltools.converters.mil.mil import Program
    from coremltools.converters.mil.mil.passes.defs import optimize_activation as fusions

    _converters_entry.gc = SimpleNamespace(collect=lambda: 0)
    validate = Program.validate

    def spared(self: Any, check_essential_scope: bool | None = None) -> None:
        if check_essential_scope is not False:  # which only the loop over the passes says
            validate(self, check_essential_scope=bool(check_essential_scope))

    Program.validate = spared
    for owner, name in (
        (fusions.fuse_gelu_tanh_approximation, "get_gelu_pattern1"),
        (fusions.fuse_gelu_tanh_approximation, "get_gelu_pattern2"),
        (fusions.FusePreluPattern1, "get_prelu_pattern"),
        (fusions.FusePreluPattern2, "get_prelu_pattern"),
    ):
        setattr(owner, name, staticmethod(functools.cache(getattr(owner, name))))


def _comparing(compare: Any) -> Any:
    """`compare_backend` with a bound that float16 tensors in a program of precision fp32 can meet."""
    from coremltools.converters.mil.testing_utils import _get_coreml_out_from_dict as output

    def wrapped(mlmodel: Any, **options: Any) -> Any:
        if options.get("dtype", "fp32") != "fp32" or not _holds_float16(mlmodel._mil_program):
            return compare(mlmodel=mlmodel, **options)
        theirs = {"atol": options.get("atol", 1e-4), "rtol": options.get("rtol", 1e-5)}
        options.update({name: max(bound, _MIXED_TOLERANCE) for name, bound in theirs.items()})
        given = compare(mlmodel=mlmodel, **options)
        pairs = [(output(given, name), wanted) for name, wanted in options["expected_outputs"].items()]
        Case.widened |= any(not np.allclose(*pair, **theirs) for pair in pairs)
        return given

    return wrapped


def _holds_float16(program: Any) -> bool:
    from coremltools.converters.mil.mil import types

    functions = list(program.functions.values()) if program else []
    values = [each for function in functions for each in function.inputs.values()]
    values += [each for function in functions for op in function.operations for each in op.outputs]
    return any(each.is_tensor_or_scalar_of(dtype="fp16") for each in values if types.is_tensor(each.sym_type))


def _break(op_type: str) -> None:
    """Shift every floating-point result of `op_type` by one, to see that the tests notice."""
    from pocketrec.validate.coreml_program import kernels

    right = kernels.KERNELS[op_type]

    def wrong(*args: Any, **inputs: Any) -> Any:
        result = right(*args, **inputs)
        return tuple(part + 1 for part in result) if isinstance(result, tuple) else result + 1

    wrong.__signature__ = __import__("inspect").signature(right)  # type: ignore[attr-defined]
    kernels.KERNELS[op_type] = wrong


@pytest.hookimpl(tryfirst=True)
def pytest_make_parametrize_id(val: object) -> str | None:
    """Short names for backend, precision and opset, which would else be a running number or a repr."""
    if hasattr(val, "opset_version"):
        backend: Any = val
        return f"backend={backend.backend}-{backend.precision}-{backend.opset_version.name}"
    return None


def _backend(item: pytest.Item) -> tuple[str, str]:
    """(backend, opset) of a case; empty strings where it does not say."""
    for value in getattr(getattr(item, "callspec", None), "params", {}).values():
        if hasattr(value, "opset_version"):
            return value.backend, value.opset_version.name
        if isinstance(value, tuple) and value and value[0] in ("neuralnetwork", "mlprogram"):
            return value[0], ""
    return "", ""


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Skip what is not an ML Program, and keep a fixed sample of the rest where one is asked for."""
    per_function = config.getoption("--conformance-sample")
    if per_function:
        ranked: dict[str, list[pytest.Item]] = {}
        for item in items:
            if _backend(item)[0] != "neuralnetwork":
                ranked.setdefault(item.nodeid.split("[")[0], []).append(item)
        for cases in ranked.values():
            cases.sort(key=lambda item: zlib.crc32(item.nodeid.encode()))
        kept = {item for cases in ranked.values() for item in cases[:per_function]}
        items[:] = [item for item in items if item in kept]
    for item in items:
        if _backend(item)[0] == "neuralnetwork":
            item.add_marker(pytest.mark.skip(reason="neuralnetwork backend"))
        elif item.nodeid.endswith(_ASSERTS_A_TIME):
            item.add_marker(pytest.mark.skip(reason="asserts a time"))


def pytest_collection_finish() -> None:
    """`ct.convert` collects garbage for every case; the tens of thousands of cases need no search."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Seed by the case's name, so that it sees the same values in any order and in any worker."""
    seed = zlib.crc32(item.nodeid.encode())
    Case.opset, Case.widened = "", False
    np.random.seed(seed)  # noqa: NPY002 - the tests under way draw from the global generator
    try:
        import torch
    except ImportError:
        return
    torch.manual_seed(seed)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Attach to the report whether a prediction was reached, and of which opset."""
    report = yield
    report.user_properties.append(("reached", bool(Case.opset)))
    report.user_properties.append(("widened", Case.widened))
    report.user_properties.append(("opset", Case.opset or _backend(item)[1]))
    return report


class Outcomes:
    """Collects one outcome per case and writes them when the session ends."""

    def __init__(self, config: pytest.Config) -> None:
        self.path = config.getoption("--conformance-report")
        self.is_worker = hasattr(config, "workerinput")
        self.progress = None if self.is_worker else config.getoption("--conformance-progress")
        self.cases: dict[str, dict[str, object]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self.cases[case_name(report.nodeid)] = {
                **dict(report.user_properties),
                "outcome": _outcome(report),
                "message": _message(report),
                "seconds": round(report.duration, 3),
            }
            if self.progress is not None and len(self.cases) % 1000 == 0:
                os.write(self.progress, f"{len(self.cases)} cases\n".encode())

    def pytest_sessionfinish(self) -> None:
        if self.path and not self.is_worker:
            Path(self.path).write_text(json.dumps(self.cases, indent=1, sort_keys=True))


def case_name(nodeid: str) -> str:
    """`iOS14/test_x.py::TestY::test_z[...]`, whatever pytest calls the root."""
    return nodeid.rpartition("ops/tests/")[2]


def _outcome(report: pytest.TestReport) -> str:
    """passed, failed, or `not applicable` where a case was not run or did not predict.

    A case that its authors expect to fail counts by what happened if it reached a prediction. One
    that fails before a prediction is `error`: it must be explained as well.
    """
    reached = dict(report.user_properties)["reached"]
    if report.outcome == "skipped" and hasattr(report, "wasxfail") and reached:
        return "failed"
    if report.outcome == "failed":
        return "failed" if reached else "error"
    return "passed" if reached and report.outcome == "passed" else "not applicable"


def _message(report: pytest.TestReport) -> str:
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash else str(report.longrepr or "")
    return " ".join(text.split())[:400]
