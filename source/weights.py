"""The trained module: built by the recipe's factory, with weights that are only ever data."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from pocketrec.errors import RecipeError
from pocketrec.recipe import ModelSource
from pocketrec.source.checkpoint import open_checkpoint
from pocketrec.source.factory import call_factory
from pocketrec.source.streamed import read_tensor


def load_module(source: ModelSource, *, base: Path) -> nn.Module:
    """The module in eval mode on the CPU, with every weight loaded.

    Args:
        source: factory, arguments and weights, as in the recipe.
        base: the folder that relative paths start from.

    Raises:
        RecipeError: the factory returns no module, or the weights do not fit it; names the tensor.
    """
    module = call_factory(source.factory, base=base, key="model.factory", arguments=source.arguments)
    if not isinstance(module, nn.Module):
        raise RecipeError(
            f"model.factory = {source.factory!r} returned {type(module).__name__}; expected an nn.Module"
        )
    if source.weights is not None:
        _load(module, load_state_dict(base / source.weights), source.weights)
    return module.eval().requires_grad_(False)


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors in safetensors, .npy files or a state dict; nothing else in it is ever executed."""
    if path.is_dir() or path.name.endswith(".index.json"):
        return {name: read_tensor(span) for name, span in open_checkpoint(path).items()}
    if not path.is_file():
        raise RecipeError(f"model.weights: {path} is no file; paths are relative to the recipe")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        reason = (str(error).splitlines() or [""])[0]
        raise RecipeError(
            f"model.weights: {path} is neither safetensors nor a state dict of plain tensors ({reason}); "
            "save it with safetensors.torch.save_file(model.state_dict(), ...)"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(each, torch.Tensor) for each in state.values()):
        raise RecipeError(f"model.weights: {path} holds no state dict; save model.state_dict()")
    return state


def _load(module: nn.Module, state: dict[str, torch.Tensor], name: str) -> None:
    expected = module.state_dict()
    for key in sorted(expected.keys() | state.keys()):
        if key not in state and not _has_twin(key, expected, state):
            raise RecipeError(f"model.weights: {name} lacks {key!r}, which the module has")
        if key not in expected:
            raise RecipeError(f"model.weights: {name} has {key!r}, which the module lacks")
        if key in state and state[key].shape != expected[key].shape:
            raise RecipeError(
                f"model.weights: {name}: {key} is {list(state[key].shape)}; the module has "
                f"{list(expected[key].shape)}; check model.arguments"
            )
    module.load_state_dict(state, strict=False)


def _has_twin(key: str, expected: dict[str, torch.Tensor], state: dict[str, torch.Tensor]) -> bool:
    """True where another name of the same storage is in the file: tied tensors are saved once."""
    place = expected[key].data_ptr()
    return any(other in state and expected[other].data_ptr() == place for other in expected if other != key)
