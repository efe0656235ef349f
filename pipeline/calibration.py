"""What a model's own data says of its tensors: which rows count, and how errors move the outputs.

    evaluation data ─▶ row_popularity                      reads per row of a table
                    ├▶ listings                            places in lists per row
                    └▶ examples ─▶ gradients of outputs ─▶ Usage.moment per tensor

The moment is the Gauss-Newton matrix of the outputs, shared by the rows of a tensor: for v of independent
standard normal numbers, one per output of a batch, and g the gradient of v · outputs with respect to the
tensor, the expectation of gᵀ g is the sum of all outputs' squared change per unit error. So every tensor
is seen alike, whether looked up, multiplied, tied or added, and no layer has to be known by its kind.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from pocketrec.contract import Contract, Signature
from pocketrec.evaluation import EvaluationData, RankingData, inputs_for
from pocketrec.foreign import torch_threads
from pocketrec.pipeline.listings import by_listing, listings

if TYPE_CHECKING:
    from torch import Tensor, nn

    from pocketrec.quantize.usage import Usage

Counts = npt.NDArray[np.float64]
_PART_ROWS = 1 << 16
_BATCH, _EXAMPLES = 16, 768
MAX_NUMBERS = 1 << 24  # of a tensor: its gradient is as large as itself, and is made in every batch
_SEED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What is known of the tensors of a module.

    Attributes:
        usage: by tensor name; tensors that nothing is known of are left out.
        notes: why there are no gradients, where that is so.
    """

    usage: Mapping[str, Usage] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def calibrate(
    module: nn.Module, contract: Contract, data: Sequence[EvaluationData], *, gradients: bool = True
) -> Calibration:
    """The usage of the module's tensors on the evaluation data's inputs; labels are not looked at.

    Args:
        module: in eval mode; it is not changed.
        contract: of the module.
        data: of which some inputs of every function that they have inputs for are taken.
        gradients: whether moments are wanted, which cost a few dozen backward passes.
    """
    from pocketrec.quantize.usage import Usage

    lists, notes = ({}, ()) if _has_stubs(module) else listings(module, contract, data)
    counts = row_popularity(module, contract, data, lists)
    moments: Mapping[str, Counts] = {}
    if gradients:
        batches = {
            name: _examples(each, data, _batch_size(contract, each))
            for name, each in contract.functions.items()
        }
        moments, more = output_moments(module, contract, batches)
        notes = (*notes, *more)
    names = [*counts, *(name for name in moments if name not in counts)]
    usage = {name: Usage(popularity=counts.get(name), moment=moments.get(name)) for name in names}
    return Calibration(usage=usage, notes=notes)


def row_popularity(
    module: nn.Module,
    contract: Contract,
    data: Sequence[EvaluationData],
    lists: Mapping[str, Counts] | None = None,
) -> dict[str, Counts]:
    """How much each row of a table counts, by tensor name, float `[rows]`, at least 1.

    Where nothing lists its ids: how often it is read, over the evaluation data's inputs and the ids that
    users have had. A table belongs to the one vocabulary of its number of rows; where two have that size,
    nothing is said of it.

    Args:
        module: whose tables are meant.
        contract: of the module.
        data: whose ids are counted.
        lists: how often each id is listed, by vocabulary; see `listings`.
    """
    from pocketrec.quantize.reference import compressible

    by_size: dict[int, list[Counts]] = {}
    for name, vocabulary in contract.vocabularies.items():
        counts = np.ones(vocabulary.size)
        for ids in _ids_of(name, contract, data):
            inside = ids[(ids >= 0) & (ids < vocabulary.size)].ravel()
            counts += np.bincount(inside, minlength=vocabulary.size)
        if vocabulary.padding_id is not None:
            counts[vocabulary.padding_id] = 1
        if lists and name in lists:
            counts = by_listing(counts, lists[name])
        by_size.setdefault(vocabulary.size, []).append(counts)
    return {
        name: by_size[len(tensor)][0]
        for name, tensor in compressible(module).items()
        if tensor.ndim == 2 and len(by_size.get(len(tensor), [])) == 1
    }


def _has_stubs(module: nn.Module) -> bool:
    from pocketrec.quantize.reference import compressible
    from pocketrec.source.stubs import number_of

    return any(number_of(each) is not None for each in compressible(module).values())


def _ids_of(
    vocabulary: str, contract: Contract, data: Sequence[EvaluationData]
) -> Iterator[npt.NDArray[np.int64]]:
    for part in (part for each in data for part in each.parts(_PART_ROWS)):
        for signature in contract.functions.values():
            for each in signature.inputs:
                if each.vocabulary == vocabulary and each.name in part.inputs:
                    yield np.asarray(part.inputs[each.name]).astype(np.int64)
            outputs = {each.vocabulary for each in signature.outputs}
            if vocabulary in outputs and isinstance(part, RankingData):
                yield part.seen_ids


def output_moments(
    module: nn.Module, contract: Contract, batches: Mapping[str, Iterable[Sequence[npt.NDArray[Any]]]]
) -> tuple[dict[str, Counts], tuple[str, ...]]:
    """The moment of every tensor that some output's gradient reaches, by name; and why there is none.

    Args:
        module: in eval mode; it is not changed.
        contract: of the module.
        batches: inputs by the functions' names, each batch in the order of the function's inputs.
    """
    try:
        return _moments(module, contract, batches), ()
    except Exception as error:  # a module of anyone's, which runs but need not be differentiable
        reason = str(error).strip().splitlines() or [type(error).__name__]
        return {}, (f"Rounded without error feedback: the model has no gradients ({reason[0]}).",)


def _moments(
    module: nn.Module, contract: Contract, batches: Mapping[str, Iterable[Sequence[npt.NDArray[Any]]]]
) -> dict[str, Counts]:
    import torch

    from pocketrec.convert.watch.contract_module import ContractModule

    copied, leaves = _with_leaves(module)
    moments: dict[str, Tensor] = {}
    numbers = 0
    normal = torch.Generator().manual_seed(_SEED)
    with torch_threads(1), torch.enable_grad():  # sums do not depend on how many the machine has
        for function, given in batches.items():
            behind = ContractModule(copied, contract, contract.functions[function])
            for batch in given:
                outputs = _differentiable(behind(*[torch.from_numpy(array) for array in batch]))
                numbers += sum(each.numel() for each in outputs)
                for name, rows in _gradients(outputs, leaves, normal).items():
                    moments[name] = moments.get(name, 0) + rows.T @ rows
    found = {name: each.numpy() / (numbers * len(leaves[name])) for name, each in moments.items()}
    return {name: each for name, each in found.items() if np.isfinite(each).all() and each.any()}


def _with_leaves(module: nn.Module) -> tuple[nn.Module, dict[str, Tensor]]:
    """A copy that shares its tensors' memory, and those of them that gradients are asked for, by name."""
    from torch import nn

    from pocketrec.quantize.copies import copied
    from pocketrec.quantize.feedback import MAX_COLUMNS
    from pocketrec.quantize.reference import compressible
    from pocketrec.quantize.tensor import rows_and_columns

    leaves: dict[str, Tensor] = {}
    places: dict[tuple[int, Any], Tensor] = {}
    for name, tensor in compressible(module).items():
        columns = rows_and_columns(tuple(tensor.shape))[1]
        if tensor.ndim > 1 and columns <= MAX_COLUMNS and tensor.numel() <= MAX_NUMBERS:
            shared = tensor.detach()
            leaf = nn.Parameter(shared) if isinstance(tensor, nn.Parameter) else shared.requires_grad_()
            leaves[name] = places[tensor.data_ptr(), tensor.shape] = leaf
    memo: dict[int, Any] = {}
    for _, tensor in (
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    ):
        memo[id(tensor)] = places.get((tensor.data_ptr(), tensor.shape), tensor)
    return copied(module, memo), leaves


def _batch_size(contract: Contract, signature: Signature) -> int:
    """As many examples as a batch may have, at most `_BATCH`."""
    low, high = contract.bounds(signature.inputs[0].shape[0])
    return max(low, min(_BATCH, high))


def _examples(
    signature: Signature, data: Sequence[EvaluationData], size: int
) -> Iterator[list[npt.NDArray[Any]]]:
    """Batches of inputs in the signature's order, spread evenly over the data; none where it has none."""
    source = inputs_for(signature, data)
    if source is None:
        return
    rows = len(source[signature.inputs[0].name])
    count = -(-min(rows, _EXAMPLES) // size) * size
    chosen = np.linspace(0, rows - 1, count).astype(np.int64).reshape(size, -1)
    for batch in chosen.T:  # of rows that lie far apart, so that it is as mixed as the data
        yield [np.ascontiguousarray(source[each.name][batch]) for each in signature.inputs]


def _differentiable(outputs: tuple[Tensor, ...]) -> list[Tensor]:
    return [each for each in outputs if each.is_floating_point() and each.requires_grad]


def _gradients(outputs: list[Tensor], leaves: Mapping[str, Tensor], normal: Any) -> dict[str, Tensor]:
    """Gradients by tensor name as `[rows, columns]`, of the outputs times random numbers.

    Each output counts relative to its own size. Rows of zeros, most of a table's, are left out.
    """
    import torch

    if not outputs:
        return {}
    total = torch.zeros(())
    for output in outputs:
        finite = torch.isfinite(output)
        values = torch.where(finite, output, torch.zeros_like(output))
        size = values.detach().square().sum().div(finite.sum().clamp(min=1)).sqrt().clamp(min=1e-12)
        total = total + (values * torch.randn(output.shape, generator=normal)).sum() / size
    found = {}
    gradients = torch.autograd.grad(total, list(leaves.values()), allow_unused=True)
    for name, each in zip(leaves, gradients, strict=True):
        if each is not None:
            rows = each.reshape(each.shape[0], -1)
            found[name] = rows[rows.ne(0).any(dim=1)].double()
    return found
