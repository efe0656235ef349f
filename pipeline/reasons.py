"""What in a module explains that an artifact gives other numbers: equal scores, or its own rounding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pocketrec.evaluation import Probe
from pocketrec.pipeline.attempts import Attempt
from pocketrec.report import TensorParity

if TYPE_CHECKING:
    import torch

    from pocketrec.convert.watch.contract_module import ContractModule

_OWN_SHARE = 0.1  # of a difference, which a module's own rounding explains


def tied_at(attempt: Attempt, function: str, probe: Probe) -> str:
    """Where the module chooses among equal scores on a probe, as `op at line`; empty where it does not."""
    from pocketrec.convert.watch.ties import ties_of

    return ties_of(*_case(attempt, function, probe))


def is_unsteady(attempt: Attempt, probe: Probe, result: TensorParity) -> bool:
    """Whether the module's own rounding explains a good part of how far an output is off on a probe."""
    from pocketrec.convert.watch.conditioning import moved_by_rounding

    module, inputs = _case(attempt, result.function, probe)
    names = [each.name for each in module.signature.outputs]
    try:
        moved = moved_by_rounding(module, inputs)
    except Exception:  # a module that cannot be copied is not examined further
        return False
    return bool(moved[names.index(result.output)] >= _OWN_SHARE * result.max_abs_error > 0)


def _case(attempt: Attempt, function: str, probe: Probe) -> tuple[ContractModule, list[torch.Tensor]]:
    """The module behind its contract, and a probe as tensors."""
    import torch

    from pocketrec.convert.watch.contract_module import ContractModule

    model = attempt.trial.model
    signature = attempt.trial.captured.functions[function]
    inputs = [torch.from_numpy(np.array(probe.inputs[each.name])) for each in signature.inputs]
    return ContractModule(model.lowered, model.contract, signature), inputs
