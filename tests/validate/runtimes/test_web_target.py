"""A file for the web is right in a browser: numbers of its codes, and ids outside of its table refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import pocketrec
from pocketrec.errors import PocketrecError
from pocketrec.recipe import Target
from pocketrec.validate.open import open_artifact
from pocketrec.validate.runtimes.runtime import RuntimeUnavailable
from pocketrec.validate.runtimes.web_places import find_places

ROWS = 3000  # more scales than are stored as float32


class Lookup(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.item, self.mix = nn.Embedding(ROWS, 16), nn.Linear(16, 16)

    def forward(self, ids: Tensor) -> Tensor:
        scores: Tensor = torch.tanh(self.mix(self.item(ids).sum(1))) @ self.item.weight.T
        return scores


@pytest.fixture(scope="module")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        find_places()
    except RuntimeUnavailable as error:
        pytest.skip(f"not run: {error}")
    module, ids = Lookup().eval().requires_grad_(False), torch.arange(8, dtype=torch.int32).reshape(2, 4)
    found = pocketrec.convert_module(
        module,
        {"ids": ids},
        tmp_path_factory.mktemp("web"),
        {"web": Target(format="web")},
        compress="int8",
    )
    return next(iter(found.artifacts.values()))


@pytest.mark.parametrize("engine", ["web-wasm", "web-webgpu"])
def test_a_browser_gives_native_numbers_and_refuses_ids_outside_of_the_table(
    artifact: Path, engine: str
) -> None:
    inside = {"ids": np.array([[0, 1, 2, ROWS - 1]] * 2, np.int32)}
    with open_artifact(artifact, "onnxruntime") as native, open_artifact(artifact, engine) as browser:
        expected, given = native.run(inside)["output"], browser.run(inside)["output"]
        assert np.allclose(given, expected, rtol=0, atol=1e-5)
        for wrong in (ROWS, -1, 2**31 - 1, -(2**31)):
            with pytest.raises(PocketrecError):
                browser.run({"ids": np.array([[0, 1, 2, wrong]] * 2, np.int32)})
        assert np.array_equal(browser.run(inside)["output"], given)
