"""What codes are distilled on: the contract's functions, on inputs of the recipe's data.

    a function                    its outputs; of one that scores a vocabulary, its lists
    a query and an item function  the scores that the evaluation makes of them, as lists

A vector is no list, and being near to the original's is not what ranks: so where an evaluation multiplies the
vectors of two functions, their products are the lesson, on some items of the catalogue at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from pocketrec.contract import Contract, Signature
from pocketrec.convert.watch.contract_module import ContractModule
from pocketrec.evaluation import Arrays, Asked, RankingData, inputs_for
from pocketrec.pipeline.listings import scored
from pocketrec.quantize.distillation import Batch, Lesson

Rows = npt.NDArray[np.int64]
_BATCH, _MOST_ROWS, _MOST_HELD = 64, 1 << 15, 512
_ITEMS = 4096  # of a catalogue, beside each batch of queries
_SPREAD = 3.0  # standard deviation of a query's scores, of which a softmax makes a list with a head


class CatalogueScores(nn.Module):
    """Scores of items for queries, `[B, items]`: products of two functions' vectors, as evaluated.

    Inputs are those of the query's function, and then those of the item's.
    """

    def __init__(
        self, query: ContractModule, item: ContractModule, places: tuple[int, int], most: int
    ) -> None:
        super().__init__()
        self.query, self.item = query, item
        self.scale = 1.0
        self._places, self._most = places, most

    def forward(self, *inputs: Tensor) -> tuple[Tensor]:
        """The scores times `scale`, alone."""
        taken = len(self.query.signature.inputs)
        queries = self.query(*inputs[:taken])[self._places[0]]
        parts = zip(*(torch.split(each, self._most) for each in inputs[taken:]), strict=True)
        items = torch.cat([self.item(*part)[self._places[1]] for part in parts])
        return (self.scale * queries @ items.T,)


def lessons_of(module: nn.Module, contract: Contract, asked: Sequence[Asked]) -> list[Lesson]:
    """The lessons that the data have inputs for; labels are not looked at.

    Args:
        module: as it was, in eval mode.
        contract: of the module.
        asked: evaluations, on whose inputs outputs are compared.
    """
    found = dict(_catalogues(module, contract, asked))
    sides = {name for pair in found for name in pair if len(contract.functions[name].outputs) == 1}
    alone = [each for name, each in contract.functions.items() if name not in sides]
    return [
        *found.values(),
        *(lesson for each in alone for lesson in _function(module, contract, each, asked)),
    ]


def _catalogues(
    module: nn.Module, contract: Contract, asked: Sequence[Asked]
) -> Iterator[tuple[tuple[str, str], Lesson]]:
    """Names of a query's and an item's function, and their lesson."""
    for each in asked:
        evaluate, data = each.evaluate, each.data.sample()
        name = evaluate.catalogue_function
        if not isinstance(data, RankingData) or name is None or len(data) < 2 or not data.catalogue:
            continue
        query, item = contract.functions[evaluate.function], contract.functions[name]
        users, items = _Rows(contract, query, data.inputs), _Rows(contract, item, data.catalogue)
        outputs = [
            [one.name for one in side.outputs].index(str(output))
            for side, output in ((query, evaluate.output), (item, evaluate.catalogue_output))
        ]
        function = CatalogueScores(
            ContractModule(module, contract, query),
            ContractModule(module, contract, item),
            (outputs[0], outputs[1]),
            items.high,
        )
        taught, held_out = users.split()
        chosen = items.turns(len(taught) + len(held_out))
        batches = [(*one, *other) for one, other in zip((*held_out, *taught), chosen, strict=True)]
        with torch.no_grad():
            spread = float(function(*batches[0])[0].std(dim=1).mean())
        function.scale = _SPREAD / spread if 0 < spread < float("inf") else 1.0
        yield (
            (evaluate.function, name),
            Lesson(
                function=function,
                batches=batches[len(held_out) :],
                held_out=batches[: len(held_out)],
                lists=(True,),
            ),
        )


def _function(
    module: nn.Module, contract: Contract, signature: Signature, asked: Sequence[Asked]
) -> Iterator[Lesson]:
    """The lesson of a function; none where the data have no inputs of it, or it gives whole numbers alone."""
    source = inputs_for(signature, [each.data for each in asked])
    floats = any(each.dtype == "float32" for each in signature.outputs)
    if source is None or not floats:
        return
    rows = _Rows(contract, signature, source)
    if rows.count < 2:
        return
    taught, held_out = rows.split()
    yield Lesson(
        function=ContractModule(module, contract, signature),
        batches=taught,
        held_out=held_out,
        lists=tuple(bool(scored(each, contract)) for each in signature.outputs),
    )


class _Rows:
    """Inputs of a function, of which batches are made as its contract takes them."""

    def __init__(self, contract: Contract, signature: Signature, source: Arrays) -> None:
        self._names, self._source = [each.name for each in signature.inputs], source
        self.count = len(source[self._names[0]])
        self.low, self.high = contract.bounds(signature.inputs[0].shape[0])

    def split(self) -> tuple[list[Batch], list[Batch]]:
        """Batches of rows in an order of chance: those that are taught, and an eighth that is held out."""
        order = np.random.default_rng(0).permutation(self.count)[:_MOST_ROWS]
        held = min(_MOST_HELD, max(1, len(order) // 8))
        size = max(self.low, min(_BATCH, self.high))
        return self._batches(order[held:], size), self._batches(order[:held], size)

    def turns(self, count: int) -> list[Batch]:
        """So many batches of `_ITEMS` rows, or of all; each goes on where the one before ended."""
        order, size = np.random.default_rng(0).permutation(self.count), min(_ITEMS, self.count)
        size = max(self.low, size - size % max(self.low, min(self.high, size)))
        starts = range(0, count * size, size)
        return [self._batch(np.take(order, np.arange(each, each + size), mode="wrap")) for each in starts]

    def _batches(self, chosen: Rows, size: int) -> list[Batch]:
        cuts = [chosen[start : start + size] for start in range(0, len(chosen), size)]
        # A smallest batch is filled up.
        return [self._batch(np.resize(each, max(self.low, len(each)))) for each in cuts]

    def _batch(self, chosen: Rows) -> Batch:
        return tuple(
            torch.from_numpy(np.ascontiguousarray(self._source[name][chosen])) for name in self._names
        )
