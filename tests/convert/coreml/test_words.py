"""An option that is a word keeps its meaning where a tensor of the graph has that name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import pocketrec
from pocketrec.convert.coreml.words import with_names_beside_words

X = torch.randn(4, 6, generator=torch.Generator().manual_seed(3)) * 4


class Named(nn.Module):
    """Inputs and results that are called as options are."""

    def forward(self, none: Tensor, floor: Tensor) -> tuple[Tensor, ...]:
        tanh, trunc = torch.tanh(none), torch.floor(floor * 3)
        gelu = F.gelu(floor, approximate="tanh")
        return tanh, trunc, gelu, torch.div(floor, 0.7, rounding_mode="floor"), F.gelu(none)


def test_core_ml_reads_the_word_and_not_the_tensor_of_that_name(tmp_path: Path) -> None:
    module = Named().eval()
    found = pocketrec.convert_module(module, (X, X.flip(0)), tmp_path, targets=("coreml",))
    assert found.inputs == ("none", "floor")
    with pocketrec.open(found.artifacts["coreml"]) as artifact:
        given = artifact.run({"none": X.numpy(), "floor": X.flip(0).numpy()})
    for name, expected in zip(found.outputs, module(X, X.flip(0)), strict=True):
        np.testing.assert_allclose(
            np.asarray(given[name], np.float32), expected.numpy(), rtol=2e-3, atol=2e-3
        )


def test_names_beside_no_word_stay() -> None:
    program = torch.export.export(Named(), (X, X), strict=False)
    changed = with_names_beside_words(program)
    assert {"floor", "tanh"} <= {node.name for node in program.graph.nodes}
    assert not {"floor", "tanh"} & {node.name for node in changed.graph.nodes}
    assert with_names_beside_words(changed) is changed
    for given, expected in zip(changed.module()(X, X), Named()(X, X), strict=True):
        assert torch.equal(given, expected)
