"""What Core ML itself says on a Mac: where each op would run, and coremltools' own clock, for each setting.

MLComputePlan gives the device that Core ML prefers for an op, and those that support it; it gives no reason,
so the rules that the op meets stand beside it as rules. MLModelBenchmarker gives loads and predictions by the
framework's own clock, and puts a prediction's time to ops by the plan's weights: an estimate, and named one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np

from pocketrec.errors import in_one_line
from pocketrec.validate.artifact.coreml import read_core_ml
from pocketrec.validate.artifact.graph import Graph
from pocketrec.validate.profile.neural_engine import rules_met
from pocketrec.validate.profile.ops import OpTime
from pocketrec.validate.profile.placed import OnUnits, OpPlace
from pocketrec.validate.profile.statistics import Distribution, distribution
from pocketrec.validate.runtimes.coreml_framework import UNITS, unavailable_reason
from pocketrec.validate.runtimes.private import PrivateCopy
from pocketrec.validate.runtimes.runtime import Array, as_taken

CPU, GPU, NEURAL_ENGINE = "CPU", "GPU", "Neural Engine"
_LOADS = 5
_WITHOUT = ("cpu_only", "cpu_and_gpu")  # settings that leave the Neural Engine out


def on_units(
    path: str, function: str, inputs: Mapping[str, Array], *, units: Sequence[str], runs: int
) -> tuple[OnUnits, ...]:
    """What Core ML says of one function with each of these settings; a reason where it does not.

    Args:
        path: of the package.
        function: its name; empty for the default one.
        inputs: of a call.
        units: settings, of `UNITS`.
        runs: predictions that are timed.
    """
    reason = unavailable_reason()
    if reason:
        return tuple(OnUnits(compute_units=each, reason=reason) for each in units)
    graph = read_core_ml(Path(path)).only(function or None)
    return tuple(_on(path, function, graph, inputs, each, runs) for each in units)


def _on(
    path: str, function: str, graph: Graph, inputs: Mapping[str, Array], units: str, runs: int
) -> OnUnits:
    import coremltools as ct
    from coremltools.models.ml_program.experimental.perf_utils import MLModelBenchmarker

    with closing(PrivateCopy(Path(path))) as copy:
        try:
            unit = getattr(ct.ComputeUnit, UNITS[units])
            model = ct.models.MLModel(str(copy.path), compute_units=unit, function_name=function or None)
            plan = tuple(_plan(model, unit, graph, units))
            taken = as_taken(graph.inputs, inputs)
            load, predict, ops = asyncio.run(_timed(MLModelBenchmarker(model), taken, runs))
        except Exception as error:
            return OnUnits(compute_units=units, reason=f"coremltools failed: {in_one_line(error)}")
    return OnUnits(compute_units=units, plan=plan, load=load, predict=predict, ops=ops)


async def _timed(
    benchmarker: Any, inputs: Mapping[str, Array], runs: int
) -> tuple[Distribution, Distribution, tuple[OpTime, ...]]:
    given = dict(inputs)
    load = await benchmarker.benchmark_load(iterations=_LOADS)
    predict = await benchmarker.benchmark_predict(given, iterations=runs, warmup=True)
    ops = await benchmarker.benchmark_operation_execution(given, iterations=_LOADS, warmup=True)
    times = tuple(
        OpTime(
            type=str(each.spec.type),
            name=str(each.spec.outputs[0].name),
            outputs=tuple(str(out.name) for out in each.spec.outputs),
            ms=float(np.median(each.measurement.samples)),
        )
        for each in ops
        if each.measurement.samples
    )
    return distribution(load.samples), distribution(predict.samples), times


def _plan(model: Any, unit: Any, graph: Graph, units: str) -> Iterator[OpPlace]:
    from coremltools.models.compute_plan import MLComputePlan

    plan = MLComputePlan.load_from_path(model.get_compiled_model_path(), compute_units=unit)
    program = plan.model_structure.program
    assert program is not None  # as `graph` has been read from one
    functions = program.functions
    function = functions.get(graph.functions[0]) or next(iter(functions.values()))
    rules = rules_met(graph)
    for operation in _operations(function.block):
        kind = str(operation.operator_name).rpartition(".")[2]  # such as `ios17.gather`
        if kind == "const":
            continue
        output = operation.outputs[0].name if operation.outputs else ""
        maker = graph.makers.get(output)
        name = output if maker is None else maker.name
        usage = plan.get_compute_device_usage_for_mlprogram_operation(operation)
        cost = plan.get_estimated_cost_for_mlprogram_operation(operation)
        device = "" if usage is None else _device(usage.preferred_compute_device)
        supported = () if usage is None else tuple(map(_device, usage.supported_compute_devices))
        yield OpPlace(
            type=kind,
            name=name,
            device=device,
            supported=supported,
            weight=None if cost is None else float(cost.weight),
            why_not=_why_not(device, supported, units, rules.get(name, ())),
        )


def _operations(block: Any) -> Iterator[Any]:
    for each in block.operations:
        yield each
        for nested in each.blocks:
            yield from _operations(nested)


def _device(device: Any) -> str:
    from coremltools.models import compute_device

    known = (
        (compute_device.MLNeuralEngineComputeDevice, NEURAL_ENGINE),
        (compute_device.MLGPUComputeDevice, GPU),
        (compute_device.MLCPUComputeDevice, CPU),
    )
    return next((name for kind, name in known if isinstance(device, kind)), type(device).__name__)


def _why_not(device: str, supported: Sequence[str], units: str, rules: Sequence[str]) -> str:
    if device == NEURAL_ENGINE:
        return ""
    if not device:
        return "Core ML does not say where it runs"
    if units in _WITHOUT:
        return f"{units} leaves it out"
    if NEURAL_ENGINE in supported:
        return f"it is supported there, and Core ML prefers the {device}"
    said = f"; rules that it meets: {', '.join(rules)}" if rules else ""
    return f"not supported there, as Core ML's plan has it{said}"
