"""What runs in a child process: one model is built, converted and checked against itself.

The check knows nothing of the conversion's own parity: it draws inputs that the conversion has not
seen, runs the original module and each artifact on them, and compares output by output.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import resource
import tempfile
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from coverage_models import Built, Model
from coverage_probes import far_probes, probes, reference, tensors, untouched
from torch import Generator, Tensor

RTOL, ATOL = 1e-3, 1e-4  # far from the example, the second of the output's largest magnitude where over 1
FLOAT16_RTOL, FLOAT16_ATOL = 2e-2, 1e-2  # the second of the output's largest magnitude

Run = Callable[[Sequence[Tensor]], list[np.ndarray[Any, Any]]]


def limit(gib: float, seconds: float) -> None:
    """Sees to it that from here on memory beyond `gib` is not given, and `seconds` of processor time end it.

    Processor time, so that a busy machine does not change what the table says.
    """
    size, longest = int(gib * 2**30), int(seconds) + 1
    resource.setrlimit(resource.RLIMIT_AS, (size, size))
    resource.setrlimit(resource.RLIMIT_CPU, (longest, longest))


def warm_up() -> None:
    """Imports everything once: a forked child has it all behind it and starts no thread by itself.

    No session of ONNX Runtime is made here: its threads would not live on in a child.
    """
    import coremltools as ct
    import onnxruntime  # noqa: F401

    import pocketrec.convert.coreml.lower
    import pocketrec.convert.onnx.lower
    import pocketrec.pipeline.convert
    import pocketrec.validate.runtimes.onnx_runtime  # noqa: F401
    from pocketrec.convert.watch.patches import quiet_converters

    torch.set_num_threads(1)
    tiny, example = torch.nn.Linear(2, 1).eval(), (torch.zeros(1, 2),)
    with quiet_converters(), torch.no_grad(), contextlib.redirect_stdout(io.StringIO()):
        program = torch.export.export(tiny, example).run_decompositions({})
        ct.convert(program, convert_to="mlprogram", skip_model_load=True)
        ct.convert(torch.jit.trace(tiny, example), inputs=[ct.TensorType(shape=(1, 2))], skip_model_load=True)
        torch.onnx.export(tiny, example, dynamo=True, verbose=False)


def behaviour(built: Built) -> dict[str, Any]:
    """Facts about the original: whether it draws random numbers, is constant, or fails at a batch of 1."""
    example = built.draw(Generator().manual_seed(1), built.batch)
    torch.manual_seed(0)
    first = reference(built.module, example)
    torch.manual_seed(99)
    again = reference(built.module, example)
    other = reference(built.module, built.draw(Generator().manual_seed(11), built.batch))
    same = len(first) == len(again) and all(_same(a, b) for a, b in zip(first, again, strict=True))
    constant = len(first) == len(other) and all(_same(a, b) for a, b in zip(first, other, strict=True))
    return {
        "deterministic": same,
        "constant": constant,
        "nan": any(np.isnan(each).any() for each in first if each.dtype.kind == "f"),
        "outputs": len(first),
    }


def _same(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> bool:
    return a.shape == b.shape and np.allclose(a, b, rtol=1e-5, atol=1e-6, equal_nan=True)


def compare(
    expected: np.ndarray[Any, Any], actual: np.ndarray[Any, Any], *, float16: bool, far: bool = False
) -> tuple[str, float]:
    """Why they differ, or an empty string, and the largest difference."""
    actual = np.asarray(actual)
    if actual.shape != expected.shape:
        return f"shape {list(actual.shape)}, expected {list(expected.shape)}", float("inf")
    if expected.dtype.kind not in "fc":
        wrong = int((expected.astype(np.int64) != actual.astype(np.int64)).sum())
        return (f"{wrong} of {expected.size} integers differ" if wrong else ""), float(wrong)
    left, right = expected.astype(np.float64), actual.astype(np.float64)
    largest = float(np.abs(left[np.isfinite(left)]).max(initial=1e-3))
    rtol, atol = RTOL, ATOL * (max(1.0, largest) if far else 1.0)
    if float16:
        rtol, atol = FLOAT16_RTOL, FLOAT16_ATOL * largest
    with np.errstate(invalid="ignore"):
        gap = np.abs(left - right)
    worst = float(np.nanmax(gap)) if gap.size and not np.isnan(gap).all() else 0.0
    if np.allclose(right, left, rtol=rtol, atol=atol, equal_nan=True):
        return "", worst
    bad = int((~np.isclose(right, left, rtol=rtol, atol=atol, equal_nan=True)).sum())
    return f"{bad} of {left.size} values differ, by up to {worst:.3g}", worst


def check(
    built: Built, run: Run, accepts: Callable[[Sequence[Tensor]], bool], *, float16: bool
) -> dict[str, Any]:
    """`equal` or `wrong`, why, the worst difference, and which batches the artifact does not take."""
    worst, said, fixed, compared = 0.0, [], False, 0
    for name, inputs in probes(built).items():
        try:
            expected = reference(built.module, inputs)
        except Exception as error:
            if name.startswith("batch"):
                said.append(f"{name}: the original fails ({type(error).__name__})")
                continue
            raise
        flat = tensors(inputs)
        if name.startswith("batch") and not accepts(flat):
            said.append(f"{name}: not accepted")
            fixed = True
            continue
        actual = run(flat)
        if len(actual) != len(expected):
            return {"status": "wrong", "detail": f"{len(actual)} outputs, expected {len(expected)}"}
        for index, (left, right) in enumerate(zip(expected, actual, strict=True)):
            if (
                name == "batch 1"
                and left.shape != right.shape
                and _without_ones(left) == _without_ones(right)
            ):
                said.append(f"{name}: the original gives {list(left.shape)}, squeezed")
                right = right.reshape(left.shape)
            reason, gap = compare(left, right, float16=float16)
            if reason:
                return {"status": "wrong", "detail": f"{name}, output {index}: {reason}"}
            worst = max(worst, gap)
        compared += 1
    if not compared:
        return {"status": "wrong", "detail": "nothing was compared"}
    found = {"status": "equal", "detail": "; ".join(said), "worst": worst, "fixed": fixed}
    return {**found, **check_far(built, run, float16=float16)}


def check_far(built: Built, run: Run, *, float16: bool) -> dict[str, Any]:
    """Which probes far from the example were compared; `wrong` and why where one of them differs.

    Left out is where the original raises, or gives what is not finite, or something else to itself.
    """
    compared = []
    for name, inputs in far_probes(built).items():
        expected = _steady(built, inputs)
        if expected is None:
            continue
        try:
            actual = run(tensors(inputs))
        except Exception as error:
            return {"status": "wrong", "detail": f"far, {name}: {crashed(error, stage='far')['detail']}"}
        for index, (left, right) in enumerate(zip(expected, actual, strict=True)):
            reason, _ = compare(left, right, float16=float16, far=True)
            if reason:
                return {"status": "wrong", "detail": f"far, {name}, output {index}: {reason}"}
        compared.append(name)
    return {"far": compared}


def _steady(built: Built, inputs: tuple[Any, ...]) -> list[np.ndarray[Any, Any]] | None:
    """What the original gives, where that is finite and the same a second time."""
    try:
        expected, again = reference(built.module, inputs), reference(built.module, inputs)
    except Exception:  # whatever it raises: these contents are not for it
        return None
    finite = all(np.isfinite(each).all() for each in expected if each.dtype.kind == "f")
    return expected if finite and all(_same(a, b) for a, b in zip(expected, again, strict=True)) else None


def _without_ones(array: np.ndarray[Any, Any]) -> tuple[int, ...]:
    return tuple(size for size in np.shape(array) if size != 1)


def open_run(
    path: Path, names: Sequence[str], outputs: Sequence[str], scalars: Collection[str] = ()
) -> tuple[Run, Callable[[Sequence[Tensor]], bool], bool]:
    """How an artifact runs on flattened inputs, whether it takes their shapes, and whether it is float16.

    `scalars` are the outputs that Core ML, which has no scalars, gives as one number in a row.
    """
    import pocketrec

    runtime = pocketrec.open(path)
    described = runtime.describe()
    specs = {each.name: each for each in described.inputs}

    def feeds(flat: Sequence[Tensor]) -> dict[str, np.ndarray[Any, Any]]:
        if len(flat) != len(names):
            raise AssertionError(f"{len(names)} input names for {len(flat)} flattened inputs")
        return {
            name: np.ascontiguousarray(value.numpy()).astype(specs[name].dtype)
            for name, value in zip(names, flat, strict=True)
            if name in specs
        }

    def accepts(flat: Sequence[Tensor]) -> bool:
        return all(
            specs[name].shape[0] in (None, array.shape[0]) and _within(specs[name], array.shape)
            for name, array in feeds(flat).items()
            if array.ndim
        )

    def run(flat: Sequence[Tensor]) -> list[np.ndarray[Any, Any]]:
        found = runtime.run(feeds(flat))
        return [_scalar(found[name]) if name in scalars else found[name] for name in outputs]

    return run, accepts, "float16" in described.precision


def _scalar(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return array.reshape(()) if array.shape == (1,) else array


def _within(spec: Any, shape: tuple[int, ...]) -> bool:
    if spec.enumerated:
        return shape in spec.enumerated
    return all(
        low <= size and (high is None or size <= high)
        for size, (low, high) in zip(shape, spec.bounds, strict=False)
    )


_TARGETS_OWN = frozenset(["coreml", "coremltools", "onnx", "torch.onnx"])


def relative(text: str) -> str:
    """The text with paths from the package on, so that it is the same on every machine."""
    return re.sub(r"\S*/(?:site|dist)-packages/", "", text)


def convert(built: Built, targets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """One result per target, from pocketrec."""
    import pocketrec
    from pocketrec.errors import Refused

    example = built.draw(Generator().manual_seed(1), built.batch)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        try:
            conversion = pocketrec.convert_module(  # type: ignore[attr-defined]
                untouched(built.module), example, Path(folder), targets=tuple(targets)
            )
        except Refused as error:
            if len(targets) > 1 and error.op in _TARGETS_OWN:  # it says nothing of the other target
                return {target: convert(built, [target])[target] for target in targets}
            detail = {"status": "refused", "detail": relative(str(error)), "op": error.op}
            return {target: dict(detail) for target in targets}
        seconds = time.perf_counter() - start
        results = {target: _result(built, conversion, target) for target in targets}
        for each in results.values():
            each["seconds"] = round(seconds, 2)
            each["notes"] = [relative(note) for note in conversion.notes]
            each["rewrites"] = sorted({str(getattr(one, "name", one)) for one in conversion.rewrites})
        return results


def _result(built: Built, conversion: Any, target: str) -> dict[str, Any]:
    if target in conversion.refused:
        reason = conversion.refused[target]
        return {"status": "refused", "detail": relative(str(reason))}
    try:
        path = Path(conversion.artifacts[target])
        declared = conversion.contract.functions["main"].outputs
        scalars = [each.name for each in declared if not each.shape] if target == "coreml" else []
        run, accepts, float16 = open_run(path, conversion.inputs, conversion.outputs, scalars)
        result = check(built, run, accepts, float16=float16)
    except Exception as error:
        return crashed(error, stage="run")
    return {**result, "float16": float16}


def crashed(error: BaseException, *, stage: str) -> dict[str, Any]:
    """A result that names the exception and the last lines of ours or theirs in its traceback."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    place = " < ".join(f"{Path(each.filename).name}:{each.lineno}" for each in reversed(frames))
    message = relative(" ".join(str(error).split())[:400])
    return {"status": "crashed", "detail": f"{type(error).__name__}: {message} [{place}]", "stage": stage}


def run_model(model: Model, targets: Sequence[str], baseline: bool) -> dict[str, Any]:
    """The model's facts and its results by column; run it in a child only."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    try:
        built = model.build()
        facts: Mapping[str, Any] = behaviour(built)
    except Exception as error:
        return {"unbuilt": crashed(error, stage="build")["detail"]}
    try:
        if baseline:
            from coverage_baseline import convert_plainly

            results = convert_plainly(built, targets)
        else:
            results = convert(built, targets)
    except Exception as error:
        results = {target: crashed(error, stage="convert") for target in targets}
    used = resource.getrusage(resource.RUSAGE_SELF)
    return {**facts, "cpu_seconds": round(used.ru_utime + used.ru_stime, 2), "results": results}
