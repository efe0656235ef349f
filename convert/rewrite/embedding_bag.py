"""nn.EmbeddingBag over padded rows of ids, as a gather and a masked reduction.

coremltools has no lowering for embedding_bag; ONNX gets a Loop over a SequenceEmpty, which is
correct and slow.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pocketrec.errors import Refused


class GatherReduce(nn.Module):
    """An EmbeddingBag of two-dimensional ids `[bags, length]`, giving `[bags, dim]`."""

    def __init__(self, bag: nn.EmbeddingBag) -> None:
        super().__init__()
        self.weight = bag.weight
        self.mode = bag.mode
        self.padding_idx = bag.padding_idx

    def forward(
        self, ids: Tensor, offsets: Tensor | None = None, per_sample_weights: Tensor | None = None
    ) -> Tensor:
        """The reduced rows; a bag without a single counted id gives zeros, as EmbeddingBag does."""
        if offsets is not None or ids.ndim != 2:
            raise Refused(
                op="aten.embedding_bag",
                where="",
                reason="bags given by offsets have no fixed length",
                remedy="pass ids padded to [bags, length] and set padding_idx",
            )
        rows = torch.nn.functional.embedding(ids, self.weight)
        counted = torch.ones_like(ids) if self.padding_idx is None else ids != self.padding_idx
        mask = counted.to(rows.dtype).unsqueeze(-1)
        if self.mode == "max":
            # Only rows that count compete; 3e4 still fits float16.
            lowest = (rows - (1 - mask) * 3e4).amax(dim=1)
            return lowest * (mask.sum(dim=1) > 0).to(rows.dtype)
        weighted = (
            rows * mask if per_sample_weights is None else rows * mask * per_sample_weights.unsqueeze(-1)
        )
        total = weighted.sum(dim=1)
        if self.mode == "sum":
            return total
        return total / mask.sum(dim=1).clamp(min=1.0)


class EmbeddingBagRewrite:
    """Matches every nn.EmbeddingBag; exact up to the order of float32 additions."""

    name = "embedding_bag_to_gather_reduce"
    reason = "embedding_bag has no Core ML lowering, and becomes a Loop in ONNX"

    def matches(self, module: nn.Module) -> bool:
        """True for nn.EmbeddingBag; raises Refused where it renormalizes rows while it reads them."""
        if not isinstance(module, nn.EmbeddingBag):
            return False
        if module.max_norm is not None:
            raise Refused(
                op="aten.embedding_bag",
                where="",
                reason="max_norm changes the table while it is read",
                remedy="renormalize the weights once after training and set max_norm=None",
            )
        return True

    def replace(self, module: nn.Module) -> nn.Module:
        """The same table behind a gather and a masked reduction."""
        assert isinstance(module, nn.EmbeddingBag)
        return GatherReduce(module)
