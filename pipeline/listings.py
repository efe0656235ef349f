"""How often a model lists each id of a vocabulary: what it ranks high counts for more than what nobody sees.

Of a shop's items most stand in nobody's list. An error in the row of an item that is listed changes lists;
the same error in one that is not changes none, as long as it stays below. So of a table that an output scores
rows count by their places among the best, and by their reads only where these are equal.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Output, Signature
from pocketrec.evaluation import EvaluationData, inputs_for
from pocketrec.foreign import torch_threads

if TYPE_CHECKING:
    from torch import Tensor, nn

Counts = npt.NDArray[np.float64]
_DEPTH = 20  # of a list: what stands just below the ten that are shown can come up
_ROWS, _BATCH = 1024, 64
_NUMBERS = 1 << 28  # scores at most, of all rows together


def listings(
    module: nn.Module, contract: Contract, data: Sequence[EvaluationData]
) -> tuple[dict[str, Counts], tuple[str, ...]]:
    """How often each id stands among the best, by vocabulary, float `[size]`; and why that is not known.

    Args:
        module: in eval mode, all of whose tensors are held.
        contract: of the module.
        data: some of whose inputs are scored; labels and what users have had are not looked at.
    """
    found: dict[str, Counts] = {}
    try:
        for signature in contract.functions.values():
            names = [listed(each, contract) for each in signature.outputs]
            for outputs in _outputs(module, contract, signature, data) if any(names) else ():
                for name, each in zip(names, outputs, strict=True):
                    if name:
                        vocabulary = contract.vocabularies[name]
                        ids = _best(each, vocabulary.padding_id) if each.is_floating_point() else each
                        known = found.setdefault(name, np.zeros(vocabulary.size))
                        known += np.bincount(ids.numpy().ravel(), minlength=vocabulary.size)
    except Exception as error:  # a module of anyone's
        reason = str(error).strip().splitlines() or [type(error).__name__]
        return {}, (f"Rows count by their reads alone: no lists were made ({reason[0]}).",)
    return found, ()


def by_listing(reads: Counts, listed: Counts) -> Counts:
    """Weights of rows, at least 1 each: places in lists, and reads where these are equal."""
    weights: Counts = 1 + listed / max(listed.mean(), np.finfo(float).tiny) + reads / reads.sum()
    return weights


def listed(output: Output, contract: Contract) -> str:
    """The vocabulary of whose ids an output gives the best, or scores all; empty where it does neither."""
    return (output.vocabulary or "") if output.meaning == "top_k_ids" else scored(output, contract)


def scored(output: Output, contract: Contract) -> str:
    """The vocabulary all of whose ids an output scores, to take the best of; empty where there is none."""
    name = output.vocabulary
    if name is None or output.meaning not in ("score", "logit"):
        return ""
    return name if output.shape[-1] == contract.vocabularies[name].size else ""


def _outputs(
    module: nn.Module, contract: Contract, signature: Signature, data: Sequence[EvaluationData]
) -> Iterator[tuple[Tensor, ...]]:
    """The outputs on inputs that are spread evenly over the data, batch by batch."""
    import torch

    from pocketrec.convert.watch.contract_module import ContractModule

    source = inputs_for(signature, data)
    if source is None:
        return
    rows = len(source[signature.inputs[0].name])
    widest = max(vocabulary.size for vocabulary in contract.vocabularies.values())
    low, high = contract.bounds(signature.inputs[0].shape[0])
    size = max(low, min(_BATCH, high, _NUMBERS // 64 // widest))
    count = max(size, min(rows, _ROWS, _NUMBERS // widest) // size * size)
    chosen = np.linspace(0, rows - 1, count).astype(np.int64)
    behind = ContractModule(module, contract, signature)
    with torch_threads(1), torch.no_grad():  # what is listed does not depend on how many the machine has
        for start in range(0, count, size):
            part = chosen[start : start + size]
            yield behind(
                *(torch.from_numpy(np.ascontiguousarray(source[one.name][part])) for one in signature.inputs)
            )


def _best(scores: Tensor, padding_id: int | None) -> Tensor:
    """The ids of the best of every row of scores."""
    rows = scores.reshape(-1, scores.shape[-1]).clone()
    if padding_id is not None:
        rows[:, padding_id] = float("-inf")
    return rows.topk(min(_DEPTH, rows.shape[1]), dim=1).indices
