"""What every artifact is compared with: a trial's own module behind its contract, run once on every probe."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from pocketrec.contract import Contract
from pocketrec.errors import Refused
from pocketrec.evaluation import Arrays
from pocketrec.pipeline.identity import module_sha256
from pocketrec.progress import Progress, silent
from pocketrec.source.model import Model, Trial, Trials
from pocketrec.workers import Workers

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.source.checkpoint import Span
    from pocketrec.validate.evidence import Reference
    from pocketrec.validate.runtimes.runtime import Runtime


def torch_runtimes(module: nn.Module, contract: Contract) -> Mapping[str, Runtime]:
    """A runtime of the module behind its contract for every function."""
    from pocketrec.convert.watch.contract_module import ContractModule
    from pocketrec.validate.runtimes.torch_runtime import TorchRuntime

    return {
        name: TorchRuntime(
            ContractModule(module, contract, signature), signature, function=name, contract=contract
        )
        for name, signature in contract.functions.items()
    }


def _reopened(
    module: nn.Module,
    spans: Mapping[str, Span],
    contract: Contract,
    behind: Callable[[nn.Module], nn.Module],
) -> Mapping[str, Runtime]:
    """The reference in a worker, which is sent what cannot be mapped from files there."""
    from pocketrec.source.mapped import mapped_module

    return torch_runtimes(behind(mapped_module(module, spans)), contract)


def reference_of(
    trial: Trial, trials: Trials, report: Progress = silent, workers: Workers | None = None
) -> Reference:
    """The trial's module run on every probe, and on all evaluation data where there are any.

    Raises:
        Refused: the module answers otherwise when it has run before.
    """
    from pocketrec.validate.evidence import Reference, examine_reference

    model = trial.model
    runtimes = torch_runtimes(model.module, model.contract)
    if not trials.asked:
        found = Reference(
            contract=model.contract, runtimes=runtimes, probes=trial.probes, outputs=trial.expected
        )
    else:
        found = examine_reference(
            runtimes,
            model.contract,
            trials.asked,
            probes=trial.probes or None,
            seed=trials.seed,
            progress=report,
            workers=workers,
            reopen=_reopener(model, trials.core.lowered),
            stress=trials.stress,
            identity=partial(module_sha256, model.module),
        )
    _check_history(trial, found, type(trials.core.lowered).__name__)
    return found


def _reopener(model: Model, module: nn.Module) -> partial[Mapping[str, Runtime]]:
    spans = {name: replace(each, path=each.path.resolve()) for name, each in model.spans.items()}
    return partial(_reopened, module, spans, model.contract, model.behind)


def _check_history(trial: Trial, reference: Reference, name: str) -> None:
    """Checks that copies that have never run answer like the module that has.

    Copies that differ from each other draw random numbers, which capture refuses with their line.
    """
    if trial.fresh is None:
        return
    for function, probes in reference.probes.items():
        for place in sorted({0, len(probes) - 1}):
            probe, expected = probes[place], reference.outputs[function][place]
            one, other = (_fresh_answer(trial, function, probe.inputs) for _ in range(2))
            if _same(one, other) and not _same(one, expected):
                raise Refused(
                    op=name,
                    where="",
                    reason="the answer depends on earlier calls: on probe "
                    f"{probe.name!r} a fresh copy gives another",
                    remedy="clear what the forward keeps between calls, or compute it from the inputs",
                )


def _fresh_answer(trial: Trial, function: str, inputs: Arrays) -> Arrays:
    """What a copy of the user's module gives that has never run; empty where it fails."""
    from pocketrec.validate.runtimes.fit import run_fitted

    assert trial.fresh is not None
    contract = trial.model.contract
    try:
        runtime = torch_runtimes(trial.fresh(), contract)[function]
        return run_fitted(runtime, contract, contract.functions[function], inputs)
    except Exception:
        return {}  # the module that has run did not fail: an answer all the same


def _same(left: Arrays, right: Arrays) -> bool:
    return left.keys() == right.keys() and all(
        left[name].shape == right[name].shape
        and np.allclose(left[name], right[name], rtol=1e-4, atol=1e-5, equal_nan=True)
        for name in left
    )
