"""Weights are data: they fit the module by name and shape, or the message names the tensor."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pocketrec.errors import RecipeError
from pocketrec.recipe import ModelSource
from pocketrec.source.weights import load_module, load_state_dict

FACTORY = "from torch import nn\n\ndef make(size=3):\n    return nn.Linear(size, 2)\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "convert.py").write_text(FACTORY)
    return tmp_path


def source(weights: str, **arguments: int) -> ModelSource:
    return ModelSource(factory="convert.py:make", weights=weights, arguments=arguments)


@pytest.mark.parametrize("name", ["w.safetensors", "w.pt"])
def test_both_kinds_of_weights_are_loaded_into_the_users_module(folder: Path, name: str) -> None:
    state = {"weight": torch.full((2, 3), 2.0), "bias": torch.ones(2)}
    if name.endswith(".pt"):
        torch.save(state, folder / name)
    else:
        save_file(state, folder / name)
    module = load_module(source(name), base=folder)
    assert torch.equal(module.state_dict()["weight"], state["weight"])
    assert not module.training


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"weight": torch.ones(2, 3)}, r"lacks 'bias'"),
        ({"weight": torch.ones(2, 3), "bias": torch.ones(2), "x": torch.ones(1)}, r"has 'x', which"),
        ({"weight": torch.ones(2, 4), "bias": torch.ones(2)}, r"weight is \[2, 4\]; the module has \[2, 3\]"),
    ],
)
def test_weights_that_do_not_fit_name_the_tensor(
    folder: Path, state: dict[str, torch.Tensor], message: str
) -> None:
    save_file(state, folder / "w.safetensors")
    with pytest.raises(RecipeError, match=message):
        load_module(source("w.safetensors"), base=folder)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("executed",))


def test_a_pickle_that_would_run_code_is_not_run(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "w.pt").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(RecipeError, match=r"neither safetensors nor a state dict"):
        load_state_dict(folder / "w.pt")
    assert "executed" not in capsys.readouterr().out


def test_a_factory_that_returns_no_module_is_an_error(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"returned dict; expected an nn.Module"):
        load_module(ModelSource(factory="builtins:dict"), base=folder)


def test_a_missing_function_is_named(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"convert.py has no function 'nothing'"):
        load_module(ModelSource(factory="convert.py:nothing"), base=folder)
