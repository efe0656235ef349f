"""A size that the graph computes is one in Core ML too: of a row's first items, of the parts of a split."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

import pocketrec


class Attended(nn.Module):
    """A sum over each user's own items, as many as a buffer says, through a layer over three axes."""

    items: Tensor
    counts: Tensor

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item, self.target = nn.Embedding(20, 4), nn.Embedding(6, 4)
        self.layer = nn.Linear(4, 8)
        self.register_buffer("items", torch.randint(1, 20, (5, 7)))
        self.register_buffer("counts", torch.tensor([3, 7, 1, 5, 2]))

    def forward(self, users: Tensor) -> Tensor:
        found = []
        for row, count in zip(self.items[users], self.counts[users].unsqueeze(1), strict=True):
            known = self.item(row[:count]).repeat(6, 1, 1)
            found.append(self.layer(known * self.target.weight.unsqueeze(1)).relu().sum((1, 2)))
        return torch.cat(found)


class Keyed(nn.Module):
    """The embeddings of the ids of each of two keys, as many as their lengths say."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = nn.Embedding(20, 4), nn.Embedding(20, 3)

    def forward(self, values: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        one, two = torch.split(values, lengths.sum(1).tolist())
        return self.first(one), self.second(two)


def test_a_shape_is_made_of_a_number_that_was_taken_out_of_a_tensor(tmp_path: Path) -> None:
    module, users = Attended().eval(), torch.tensor([4, 2, 1])
    found = pocketrec.convert_module(module, (torch.tensor([0, 1, 3]),), tmp_path / "out", ("coreml",))
    given = pocketrec.open(found.artifacts["coreml"]).run({"users": users.numpy().astype(np.int32)})
    assert np.allclose(given["output"], module(users).detach(), atol=1e-5)


def test_parts_are_as_long_as_the_lengths_of_that_call(tmp_path: Path) -> None:
    module, values = Keyed().eval(), torch.arange(8)
    found = pocketrec.convert_module(
        module, (values, torch.tensor([[1, 2, 0], [3, 1, 1]])), tmp_path / "out", ("coreml",)
    )
    artifact = pocketrec.open(found.artifacts["coreml"])
    for counts in ([[2, 2, 2], [0, 1, 1]], [[0, 0, 1], [4, 2, 1]]):
        lengths = torch.tensor(counts)
        given = artifact.run(
            {"values": values.numpy().astype(np.int32), "lengths": lengths.numpy().astype(np.int32)}
        )
        for name, expected in zip(found.outputs, module(values, lengths), strict=True):
            assert np.allclose(given[name], expected.detach(), atol=1e-6), (name, counts)


def test_rows_are_repeated_as_often_as_the_counts_of_that_call_say(tmp_path: Path) -> None:
    class Repeated(nn.Module):
        def forward(self, rows: Tensor, counts: Tensor) -> Tensor:
            return rows.repeat_interleave(counts, dim=0).cumsum(0)

    module, rows = Repeated(), torch.arange(12.0).reshape(3, 4)
    found = pocketrec.convert_module(
        module.eval(), (rows, torch.tensor([2, 0, 3])), tmp_path / "out", ("coreml",)
    )
    with pocketrec.open(found.artifacts["coreml"]) as artifact:
        for counts in ([0, 5, 1], [1, 1, 1], [0, 0, 2]):
            inputs = {"rows": rows.numpy(), "counts": np.array(counts, np.int32)}
            expected = module(rows, torch.tensor(counts)).numpy()
            assert np.array_equal(artifact.run(inputs)["output"], expected)
