"""What is streamed and what is loaded: a checkpoint that does not fit the module is an error by name."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from pocketrec.errors import RecipeError
from pocketrec.recipe import ModelSource
from pocketrec.source.streamed import Stubbed, load_streamed, reaches

pytestmark = pytest.mark.usefixtures("small_chunks")

FACTORY = """
from torch import nn

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.item = nn.Embedding(40, 4)
        self.square = nn.Linear(8, 8)
        self.head = nn.Linear(4, 40, bias=False)
        self.head.weight = self.item.weight

def make():
    return Tied()
"""


def tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    table = torch.randn(40, 4)
    return {
        "item.weight": table,
        "head.weight": table.clone(),
        "square.weight": torch.randn(8, 8),
        "square.bias": torch.randn(8),
    }


def source(folder: Path, given: dict[str, Tensor]) -> ModelSource:
    (folder / "model.py").write_text(FACTORY)
    save_file(given, folder / "w.safetensors")
    return ModelSource(factory="model.py:make", weights="w.safetensors", stream_mb=0.0002)


def loaded(folder: Path, given: dict[str, Tensor]) -> Stubbed:
    return load_streamed(source(folder, given), base=folder)


def test_a_square_matrix_is_loaded_since_nobody_can_tell_how_it_is_read(tmp_path: Path) -> None:
    given = tensors()
    found = loaded(tmp_path, given)
    assert [each.name for each in found.tables] == ["item.weight"]
    assert torch.equal(found.lowered.get_parameter("square.weight"), given["square.weight"])
    del given["item.weight"], given["head.weight"]
    assert not reaches(source(tmp_path, given), base=tmp_path)


def test_names_of_one_tensor_have_one_value(tmp_path: Path) -> None:
    given = tensors()
    given["head.weight"][39, 3] += 1e-3
    with pytest.raises(
        RecipeError, match=r"item\.weight and head\.weight are one tensor .* different numbers"
    ):
        loaded(tmp_path, given)


@pytest.mark.parametrize(
    ("name", "dtype", "message"),
    [
        ("square.bias", torch.int32, r"square\.bias is I32; the module has float32"),
        ("item.weight", torch.int64, r"item\.weight is I64; the module has float32"),
    ],
)
def test_whole_numbers_are_no_weights(name: str, dtype: torch.dtype, message: str, tmp_path: Path) -> None:
    given = tensors()
    given[name] = given[name].to(dtype)
    with pytest.raises(RecipeError, match=message):
        loaded(tmp_path, given)
