"""The contract against the model: tables that its ids read, and ids that its outputs hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract
from pocketrec.errors import ContractError

if TYPE_CHECKING:
    from torch import nn

    from pocketrec.validate.evidence import Reference

Ids = npt.NDArray[np.int64]

_NOTHING = -1  # what some models list where fewer than k are left


def check_model(module: nn.Module, reference: Reference) -> tuple[str, ...]:
    """Checks the reference's ids against their vocabularies; says which tables have more rows than tokens.

    Raises:
        ContractError: an output holds an id that its vocabulary lacks; names function, output and probe.
    """
    notes: list[str] = []
    for function in reference.contract.functions:
        _check_listed(reference, function)
        notes.extend(_table_notes(module, reference, function))
    return tuple(dict.fromkeys(notes))


def _check_listed(reference: Reference, function: str) -> None:
    for out in reference.contract.functions[function].outputs:
        if out.meaning != "top_k_ids" or out.vocabulary is None:
            continue
        size = reference.contract.vocabularies[out.vocabulary].size
        for where, ids in _listed(reference, function, out.name):
            wrong = ids[(ids < _NOTHING) | (ids >= size)]
            if wrong.size:
                raise ContractError(
                    f"function {function}: output {out.name} lists id {wrong.flat[0]} on {where}; "
                    f"vocabulary {out.vocabulary!r} has {size} tokens: give every id one"
                )


def _listed(reference: Reference, function: str, output: str) -> Iterator[tuple[str, Ids]]:
    """What an output lists on every probe, and on all rows of the evaluation data that were kept."""
    for probe, given in zip(reference.probes[function], reference.outputs[function], strict=True):
        yield f"probe {probe.name!r}", given[output].astype(np.int64)
    for each in reference.evaluations:
        kept = each.quality.kept
        if function in kept and output in kept[function].values:
            yield "the evaluation data", kept[function].values[output].astype(np.int64)


def _table_notes(module: nn.Module, reference: Reference, function: str) -> Iterator[str]:
    """Which tables have rows that no token stands for."""
    import torch

    from pocketrec.convert.watch.contract_module import ContractModule
    from pocketrec.convert.watch.survey import tables_read

    contract = _unguarded(reference.contract, function)
    signature = contract.functions[function]
    probe = reference.probes[function][0].inputs
    tensors = [torch.from_numpy(np.array(probe[each.name])) for each in signature.inputs]
    for table in tables_read(ContractModule(module, contract, signature), tensors):
        feature = signature.inputs[table.source]
        if not table.exact or feature.vocabulary is None:
            continue
        size = contract.vocabularies[feature.vocabulary].size
        if table.rows > size:
            yield (
                f"Vocabulary {feature.vocabulary} has {size} tokens, and the table that {feature.name} reads "
                f"has {table.rows} rows: ids {size} to {table.rows - 1} have no token."
            )


def _unguarded(contract: Contract, function: str) -> Contract:
    """The contract whose ids reach the tables as they are."""
    signature = contract.functions[function]
    inputs = tuple(replace(each, out_of_vocabulary="forbid") for each in signature.inputs)
    return replace(contract, functions={function: replace(signature, inputs=inputs)})
