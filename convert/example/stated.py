"""The trials of a module whose contract is stated and whose example is as the contract says.

The module stands behind its contract as a recipe's does, so both give the same artifacts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketrec.contract import Contract, Signature
from pocketrec.convert.example.far import far_probes
from pocketrec.convert.example.probes import Inputs, proved_probes
from pocketrec.errors import ContractError
from pocketrec.source.loaded import with_fixed_batch
from pocketrec.source.model import Trial, Trials, model_of, never_run

if TYPE_CHECKING:
    from pathlib import Path

    from torch import nn

    from pocketrec.source.checkpoint import Span
    from pocketrec.source.streamed import Stubbed

Examples = Mapping[str, Inputs]


def stated_trials(
    module: nn.Module, example_inputs: object, contract: Contract, folder: Path | None, stream_bytes: int
) -> Trials | None:
    """The trials, as of a recipe; None where the example is nested, or in other dtypes than the contract's.

    Raises:
        ContractError: the contract has several functions, and the example is not one by function.
    """
    import torch

    from pocketrec.source.streamed import Stubbed, spilled

    if isinstance(module, torch.jit.ScriptModule):
        return None
    examples = _examples(contract, example_inputs)
    if examples is None or not _answers(module, contract, examples):
        return None
    core, spans = Stubbed(lowered=module), dict[str, "Span"]()
    if folder is not None and stream_bytes:
        core, spans = spilled(module, folder, stream_bytes)
    return Trials(core=core, spans=spans, make=partial(_trials, contract, examples))


def _examples(contract: Contract, example: object) -> Examples | None:
    """Arrays by function and input; None where they are not what the contract says they are."""
    single = list(contract.functions) == ["main"]
    if not single and (not isinstance(example, Mapping) or set(example) != set(contract.functions)):
        raise ContractError(
            f"the contract has functions {', '.join(contract.functions)}; expected an example of each: "
            "a dict of their names to inputs"
        )
    given: Mapping[str, object] = {"main": example} if single else example  # type: ignore[assignment]
    found = {name: _arrays(each, given[name]) for name, each in contract.functions.items()}
    return None if any(each is None for each in found.values()) else found  # type: ignore[return-value]


def _arrays(signature: Signature, example: object) -> Inputs | None:
    import torch

    names = [each.name for each in signature.inputs]
    if isinstance(example, Mapping):
        if set(example) != set(names):
            return None
        values: Sequence[object] = [example[name] for name in names]
    else:
        values = example if isinstance(example, tuple | list) else (example,)
    if len(values) != len(names):
        return None
    found: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.generic]]] = {}
    for feature, value in zip(signature.inputs, values, strict=True):
        array = value.detach().numpy() if isinstance(value, torch.Tensor) else value
        if not isinstance(array, np.ndarray) or str(array.dtype) != feature.dtype:
            return None
        if array.ndim != len(feature.shape):
            return None
        found[feature.name] = array
    return found


def _answers(module: nn.Module, contract: Contract, examples: Examples) -> bool:
    """Whether the module takes and gives what the contract says, without anything around it."""
    try:
        for name, signature in contract.functions.items():
            given = _behind(module, contract, name).answers(examples[name])
            if any(given[each.name].ndim != len(each.shape) for each in signature.outputs):
                return False
    except ContractError:
        raise
    except Exception:  # whatever it is: as a nested example it is told better
        return False
    return True


def _behind(module: nn.Module, contract: Contract, function: str) -> Any:
    from pocketrec.convert.watch.contract_module import ContractModule

    return ContractModule(module, contract, contract.functions[function])


def _trials(
    contract: Contract, examples: Examples, core: Stubbed, spans: Mapping[str, Span]
) -> Iterator[Trial]:
    model = model_of(core, contract, spans)
    trial = with_examples(Trial(model=model, captured=contract, fresh=never_run(model)), examples)
    yield trial
    fixed = with_fixed_batch(contract)
    if fixed != contract:
        yield replace(trial, captured=fixed, note="the batch is fixed")


def with_examples(trial: Trial, examples: Examples) -> Trial:
    """The trial with probes made from an example of each function, near it and far from it.

    Raises:
        InputError: the module does not run on an example, or gives NaN for it.
        BeyondInt32: it gives a number that the contract's dtype does not hold.
    """
    model, probes, expected, far = trial.model, {}, {}, {}
    for name, example in examples.items():
        answers = _behind(model.module, model.contract, name).answers
        given = [example[each.name] for each in model.contract.functions[name].inputs]
        probes[name], expected[name] = proved_probes(given, model.contract, answers, function=name)
        far[name] = far_probes(example, model.contract, answers, within=True, function=name)
    return replace(trial, probes=probes, expected=expected, far=far)
