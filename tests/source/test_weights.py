"""Weights are data: they fit the module by name and shape, or the message names the tensor."""

from __future__ import annotations

import copy
import pickle
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.testing import assert_close

from pocketrec.errors import RecipeError
from pocketrec.recipe import ModelSource
from pocketrec.source.weights import check_numbers, load_module, load_state_dict, load_trained, widened

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
        (
            {"weight": torch.ones(2, 4), "bias": torch.ones(2)},
            r"\[2, 4\]; the module has \[2, 3\]; train again, or .* model\.arguments$",
        ),
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


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("module", r"it holds torch\.nn\.modules\.linear\.Linear, which is no tensor"),
        ("script", r"it is a TorchScript file, which is a model\.factory of its own"),
        ("text", r"nothing that torch\.save writes, or cut short"),
        ("cut", r"nothing that torch\.save writes, or cut short"),
        ("arrays", r"nothing that torch\.save writes, or cut short"),
    ],
)
def test_a_file_that_holds_no_weights_is_told_by_what_it_holds(kind: str, reason: str, folder: Path) -> None:
    """And never by PyTorch's advice to read it without `weights_only`, which would run what it holds."""
    path, module = folder / "other.pt", torch.nn.Linear(2, 2)
    if kind == "script":
        torch.jit.save(torch.jit.script(module), path)
    elif kind == "arrays":
        np.savez(folder / "w.npz", weight=np.ones(2))
        (folder / "w.npz").rename(path)
    else:
        torch.save(module, path)
        path.write_bytes(
            {"text": b"epoch,loss\n", "cut": path.read_bytes()[:300]}.get(kind, path.read_bytes())
        )
    with pytest.raises(RecipeError, match=rf"state dict of plain tensors \({reason}\); save it") as caught:
        load_state_dict(path)
    assert "weights_only" not in str(caught.value)


def test_a_factory_that_returns_no_module_is_an_error(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"returned dict; expected an nn.Module"):
        load_module(ModelSource(factory="builtins:dict"), base=folder)


def test_a_missing_function_is_named(folder: Path) -> None:
    with pytest.raises(RecipeError, match=r"convert.py has no function 'nothing'"):
        load_module(ModelSource(factory="convert.py:nothing"), base=folder)


TIED = """
from torch import nn

class Tied(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(3, 3, bias=False), nn.Linear(3, 3, bias=False)
        self.second.weight = self.first.weight

def make():
    return Tied()
"""


def test_tied_names_hold_one_tensor_or_the_message_names_both(folder: Path) -> None:
    (folder / "tied.py").write_text(TIED)
    named = ModelSource(factory="tied.py:make", weights="w.safetensors")
    one = torch.tensor([[1.0, float("nan"), 3.0]] * 3)
    save_file({"first.weight": one, "second.weight": one.clone()}, folder / "w.safetensors")
    assert_close(load_module(named, base=folder).state_dict()["second.weight"], one, equal_nan=True)
    save_file({"second.weight": one}, folder / "w.safetensors")
    assert_close(load_module(named, base=folder).state_dict()["first.weight"], one, equal_nan=True)
    save_file({"first.weight": one, "second.weight": one + 1}, folder / "w.safetensors")
    with pytest.raises(RecipeError, match=r"first\.weight and second\.weight are one tensor .* \(tied\) and"):
        load_module(named, base=folder)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {f"module.{name}": each for name, each in state.items()},
        lambda state: {"epoch": 7, "state_dict": {f"model.{name}": each for name, each in state.items()}},
    ],
)
def test_what_a_trainer_saved_is_read_and_said(wrap: Any, folder: Path) -> None:
    state = {"weight": torch.full((2, 3), 2.0), "bias": torch.ones(2)}
    torch.save(wrap(state), folder / "w.ckpt")
    loaded = load_trained(source("w.ckpt"), base=folder)
    assert torch.equal(loaded.module.state_dict()["weight"], state["weight"])
    assert any("its names were read without" in each for each in loaded.notes)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.full((2, 3), 1e300, dtype=torch.float64), r"weight holds 1e\+300, which float32 cannot hold"),
        (torch.ones(2, 3, dtype=torch.int64), r"weight is int64; the module has float32"),
        (torch.ones(2, 3, dtype=torch.complex64), r"weight is complex64; the module has float32"),
    ],
)
def test_numbers_that_the_module_cannot_hold_are_named(
    weight: torch.Tensor, message: str, folder: Path
) -> None:
    torch.save({"weight": weight, "bias": torch.ones(2)}, folder / "w.pt")
    with pytest.raises(RecipeError, match=message):
        load_module(source("w.pt"), base=folder)


@pytest.mark.parametrize(
    ("ids", "held"),
    [
        (torch.tensor([1, 2**40]), 2**40),
        (torch.tensor([-(2**31) - 1, 5]), -(2**31) - 1),
        (torch.tensor([2**31 - 1, -(2**31)]), None),
        (torch.tensor([7, 2**32 - 1], dtype=torch.uint32), 2**32 - 1),
        (torch.tensor([7, 255], dtype=torch.uint8), None),
    ],
)
def test_ids_that_the_module_cannot_hold_are_named_and_never_wrap(
    ids: torch.Tensor, held: int | None, folder: Path
) -> None:
    (folder / "ids.py").write_text(
        "import torch\nfrom torch import nn\n\ndef make():\n    net = nn.Module()\n"
        "    net.register_buffer('codes', torch.zeros(2, dtype=torch.int32))\n    return net\n"
    )
    save_file({"codes": ids}, folder / "w.safetensors")
    named = ModelSource(factory="ids.py:make", weights="w.safetensors")
    if held is None:
        assert load_module(named, base=folder).get_buffer("codes").tolist() == ids.tolist()
    else:
        with pytest.raises(RecipeError, match=f"codes holds {held}, which int32 cannot hold"):
            load_module(named, base=folder)


def test_without_weights_what_differs_between_two_calls_is_random(folder: Path) -> None:
    loaded = load_trained(ModelSource(factory="convert.py:make"), base=folder)
    assert loaded.random == ("weight", "bias")
    (folder / "convert.py").write_text(FACTORY.replace("    return", "    torch.manual_seed(3)\n    return"))
    (folder / "convert.py").write_text("import torch\n" + (folder / "convert.py").read_text())
    seeded = load_trained(ModelSource(factory="convert.py:make"), base=folder)
    assert seeded.random == ()
    assert seeded.notes == ("model.weights is not set: the factory gave the same numbers in two calls",)


def test_a_factory_that_returns_a_state_dict_is_told_so(folder: Path) -> None:
    (folder / "state.py").write_text(FACTORY + "\ndef state():\n    return make().state_dict()\n")
    with pytest.raises(RecipeError, match=r"returned OrderedDict; .*; return the module, not"):
        load_module(ModelSource(factory="state.py:state"), base=folder)


def packed_again(path: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)


def test_compressed_tensors_are_refused_and_not_taken_for_numbers(folder: Path) -> None:
    torch.save({"weight": torch.full((2, 3), 2.0), "bias": torch.ones(2)}, folder / "w.pt")
    packed_again(folder / "w.pt")
    with pytest.raises(RecipeError, match=r"w\.pt .*its tensors are compressed"):
        load_state_dict(folder / "w.pt")


def test_a_state_dict_in_the_form_without_a_zip_is_read(folder: Path) -> None:
    state = {"weight": torch.full((2, 3), 2.0), "bias": torch.ones(2)}
    torch.save(state, folder / "w.pt", _use_new_zipfile_serialization=False)
    assert_close(load_state_dict(folder / "w.pt"), state)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.int32, torch.bool])
def test_weights_of_another_kind_are_named_and_not_cast(folder: Path, dtype: torch.dtype) -> None:
    torch.save({"weight": torch.ones(2, 3).to(dtype), "bias": torch.ones(2)}, folder / "w.pt")
    with pytest.raises(RecipeError, match=rf"w\.pt: weight is {str(dtype)[6:]}; the module has float32"):
        load_module(source("w.pt"), base=folder)


@pytest.mark.parametrize(
    ("value", "message"), [(float("nan"), "weight holds nan at [1, 2]"), (float("inf"), "weight holds inf")]
)
def test_weights_of_diverged_training_are_named(folder: Path, value: float, message: str) -> None:
    weight = torch.ones(2, 3)
    weight[1, 2] = value
    save_file({"weight": weight, "bias": torch.ones(2)}, folder / "w.safetensors")
    with pytest.raises(RecipeError, match=re.escape(message)) as caught:
        load_trained(source("w.safetensors"), base=folder)
    assert "w.safetensors" in str(caught.value)


def test_masks_are_no_diverged_weights() -> None:
    module = torch.nn.Linear(2, 2)
    module.bias.data[0] = -torch.inf
    module.register_buffer("mask", torch.full((2, 2), torch.inf))
    check_numbers(module, "module")
    module.register_buffer("wrong", torch.full((2, 2), torch.nan))
    with pytest.raises(RecipeError, match=r"module: wrong holds nan at \[0, 0\]"):
        check_numbers(module, "module")


def test_large_numbers_whose_sum_is_infinite_are_none() -> None:
    module = torch.nn.Linear(2, 2).half()
    module.weight.data.fill_(60000.0)
    check_numbers(module, "module")


class _Keeps(torch.nn.Module):
    """Keeps what it computed last, as a hook does that normalizes weights."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = torch.nn.Linear(2, 2).half()
        self.last = self.inner.weight * 2


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_module_of_16_bits_is_widened_whose_parts_keep_what_they_computed(dtype: torch.dtype) -> None:
    module = _Keeps().to(dtype)
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(module)
    wide = widened(module)
    assert wide.get_parameter("inner.weight").dtype == torch.float32
    assert module.inner.weight.dtype == dtype
    assert_close(wide.get_parameter("inner.weight"), module.inner.weight.float(), rtol=0, atol=0)


def test_a_module_of_32_bits_is_itself() -> None:
    module = torch.nn.Linear(2, 2)
    assert widened(module) is module


def test_a_lazy_layer_is_named_before_anything_is_loaded() -> None:
    with pytest.raises(
        RecipeError, match=r"weight has no shape yet, as a lazy layer's; call the module once"
    ):
        load_trained(ModelSource(factory="torch.nn:LazyLinear", arguments={"out_features": 2}), base=Path())


def test_weights_that_are_not_made_yet_name_the_command_that_makes_them(folder: Path) -> None:
    named = ModelSource(factory="convert.py:make", weights="w.safetensors", trained_by="python train.py")
    with pytest.raises(RecipeError, match=r"w\.safetensors is not there; make it: python train\.py"):
        load_module(named, base=folder)
    with pytest.raises(RecipeError, match=r"w\.safetensors is no file; correct the path"):
        load_module(source("w.safetensors"), base=folder)
