"""Compression of a module that is converted from an example: what a preset or a plan makes of it.

    example ─▶ capture of the original ─▶ tensors it reads ┐
    probes ──▶ gradients of the outputs ───────────────────┴▶ plan ─▶ compressed module + codes

The compressed module is then converted like any other, and must be equalled by every artifact.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pocketrec.convert.example.attempts import Attempt, Job
from pocketrec.errors import UsageError
from pocketrec.pipeline.calibration import output_moments
from pocketrec.pipeline.compression import Compression, compress_module, explicit_plan, tensors_read
from pocketrec.quantize import Plan
from pocketrec.recipe import Compress

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.convert.capture.capture import Capture
    from pocketrec.quantize.usage import Usage
    from pocketrec.report import TensorParity

PRESETS = ("int8", "int4")


def compress_example(
    job: Job, asked: str | Plan, left_out: Collection[str] = ()
) -> tuple[Compression, tuple[str, ...]]:
    """The module of a job, compressed, and what must be said of it.

    Args:
        job: of the module as it is.
        asked: a preset, `int8` or `int4`, or a plan.
        left_out: tensors that a preset does not plan.

    Raises:
        UsageError: the module is TorchScript, or the preset has another name.
        PlanError: a scheme does not fit its tensor, or a pattern fits none.
    """
    import torch

    module = job.reference.module
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError(
            "compress: TorchScript hides where its weights are read; pass the nn.Module, or drop compress"
        )
    if not isinstance(asked, Plan) and asked not in PRESETS:
        raise UsageError(f"compress {asked!r}: expected {', '.join(PRESETS)}, or a plan")
    usage, notes = _usage(job, next(job.attempts()))
    plan = asked if not isinstance(asked, str) else _preset(job, asked, usage).without(left_out)
    return compress_module(plan, module, usage), notes


def _preset(job: Job, preset: str, usage: Mapping[str, Usage]) -> Plan:
    """The plan of a preset for what the module reads; empty where no attempt can be captured at all."""
    module = job.reference.module
    compress = Compress(preset="int8" if preset == "int8" else "int4")
    found = (_read(module, attempt) for attempt in job.attempts())
    read = next((each for each in found if each is not None), None)
    return Plan() if read is None else explicit_plan(compress, module, read, usage)


def _read(module: nn.Module, attempt: Attempt) -> list[str] | None:
    """Names of the tensors that the attempt's graph reads; None where it cannot be captured."""
    try:
        captures = {"main": capture_attempt(attempt)}
    except Exception:  # whatever it is, converting says so
        return None
    return [name for name, by in tensors_read(module, captures).items() if by]


def capture_attempt(attempt: Attempt) -> Capture:
    """The attempt's module captured and proved on its probes."""
    import torch

    from pocketrec.convert.capture.capture import capture

    tensors = [
        {name: torch.from_numpy(np.array(array)) for name, array in each.inputs.items()}
        for each in attempt.probes
    ]
    return capture(attempt.flat, attempt.contract, "main", tensors)


def _usage(job: Job, attempt: Attempt) -> tuple[dict[str, Usage], tuple[str, ...]]:
    """What gradients on the probes say of the module's tensors, by their names in the user's module."""
    from pocketrec.quantize.usage import Usage

    names = [each.name for each in attempt.contract.functions["main"].inputs]
    batches = [[np.array(each.inputs[name]) for name in names] for each in attempt.probes]
    moments, notes = output_moments(job.reference, attempt.contract, {"main": batches})
    return {name.removeprefix("module."): Usage(moment=moment) for name, moment in moments.items()}, notes


def loss_of(original: Job, attempt: Attempt) -> tuple[TensorParity, ...]:
    """What compression costs: the attempt's outputs against the original's, one result per output.

    Args:
        original: of the module as it was.
        attempt: of the compressed module, with its probes.
    """
    from pocketrec.convert.watch.contract_module import ContractModule
    from pocketrec.validate.measure.parity import check_parity
    from pocketrec.validate.runtimes.torch_runtime import TorchRuntime

    contract = attempt.contract
    signature = contract.functions["main"]
    behind = ContractModule(original.reference, contract, signature)
    runtime = TorchRuntime(behind, signature, contract=contract)
    return tuple(
        check_parity(
            [runtime.run(each.inputs) for each in attempt.probes],
            attempt.expected,
            [each.name for each in attempt.probes],
            signature,
            function="main",
            tie_tolerance=1e-5,
        )
    )
