"""The trained module: built by the recipe's factory, with weights that are only ever data."""

from __future__ import annotations

import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from pocketrec.errors import PocketrecError, RecipeError
from pocketrec.outside import exists, open_file, require_file
from pocketrec.quantize.copies import copied
from pocketrec.recipe import ModelSource
from pocketrec.source.checkpoint import check_stored, open_checkpoint, unread
from pocketrec.source.factory import call_factory
from pocketrec.source.streamed import named_tensors, read_tensor
from pocketrec.source.weight_names import hint, renamed, unnested

SIXTEEN_BITS = (torch.float16, torch.bfloat16)
_SHOWN = 3  # names in a message
_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A module in eval mode, and what a user must know of how it got its numbers.

    Attributes:
        random: tensors that differ from one call of the factory to the next; empty where there are weights.
        notes: one sentence each.
    """

    module: nn.Module
    random: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def load_module(source: ModelSource, *, base: Path) -> nn.Module:
    """The module in eval mode on the CPU, with every weight loaded; raises as `load_trained` does."""
    return _module(source, base)[0].eval().requires_grad_(False)


def load_trained(source: ModelSource, *, base: Path) -> Loaded:
    """The module in eval mode on the CPU, with every weight loaded, and what to say of it.

    Without weights the factory is called twice: what differs is random, and was never trained.

    Args:
        source: factory, arguments and weights, as in the recipe.
        base: the folder that relative paths start from.

    Raises:
        RecipeError: the factory returns no module, or the weights do not fit it; names the tensor.
    """
    module, notes = _module(source, base)
    random = () if source.weights is not None else _random(module, source, base)
    if source.weights is None and not random and module.state_dict():
        notes = (*notes, "model.weights is not set: the factory gave the same numbers in two calls")
    check_numbers(module, f"model.weights = {source.weights!r}" if source.weights else "model.factory")
    return Loaded(module=module.eval().requires_grad_(False), random=random, notes=notes)


def widened(module: nn.Module, dtypes: Collection[torch.dtype] = SIXTEEN_BITS) -> nn.Module:
    """A float32 copy of a module that has tensors in `dtypes`; else itself.

    PyTorch and every target round 16-bit sums at places of their own, so that no two would be equal.
    """
    if not any(each.dtype in dtypes for each in (*module.parameters(), *module.buffers())):
        return module
    return copied(module).float()


def random_text(random: tuple[str, ...]) -> str:
    """The tensors that are random, the first few by name."""
    more = f" and {len(random) - _SHOWN} more" if len(random) > _SHOWN else ""
    return ", ".join(random[:_SHOWN]) + more


def _module(source: ModelSource, base: Path) -> tuple[nn.Module, tuple[str, ...]]:
    module = _made(source, base)
    if source.weights is None:
        return module, ()
    if source.trained_by and not exists(base / source.weights):
        raise RecipeError(
            f"model.weights: {base / source.weights} is not there; make it: {source.trained_by}"
        )
    state, note = _read(base / source.weights)
    said = _load(module, state, source.weights)
    return module, tuple(each for each in (note, said) if each)


def _made(source: ModelSource, base: Path) -> nn.Module:
    module = call_factory(source.factory, base=base, key="model.factory", arguments=source.arguments)
    if not isinstance(module, nn.Module):
        what = type(module).__name__
        remedy = "; return the module, not its state dict" if module and _is_state(module) else ""
        raise RecipeError(
            f"model.factory = {source.factory!r} returned {what}; expected an nn.Module{remedy}"
        )
    lazy = next((name for name, each in module.named_parameters() if is_lazy(each)), None)
    if lazy is not None:
        raise RecipeError(
            f"model.factory = {source.factory!r}: {lazy} has no shape yet, as a lazy layer's; call the "
            "module once on an example before it is returned"
        )
    return module


def _is_state(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(each, Tensor) for each in value.values())
    )


def _random(module: nn.Module, source: ModelSource, base: Path) -> tuple[str, ...]:
    """Names of the tensors that another call of the factory gives other numbers."""
    try:
        other = {name: tensor for tensor, names in named_tensors(_made(source, base)) for name in names}
    except PocketrecError:
        return ()  # a factory that can be called once only: what it gave is what there is
    return tuple(
        names[0]
        for tensor, names in named_tensors(module)
        if names[0] not in other or not _same(tensor, other[names[0]])
    )


def load_state_dict(path: Path) -> dict[str, Tensor]:
    """The tensors in safetensors, .npy files or a state dict; nothing else in it is ever executed."""
    return _read(path)[0]


def _read(path: Path) -> tuple[dict[str, Tensor], str]:
    if path.is_dir() or path.name.endswith(".index.json"):
        return {name: read_tensor(span) for name, span in open_checkpoint(path).items()}, ""
    if not path.is_file():
        raise RecipeError(f"model.weights: {path} is no file; correct the path")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(require_file(path, error=RecipeError)), ""
        state, note = unnested(_unpickled(path))
    except Exception as error:
        raise unread(path, error) from error
    if not _is_state(state):
        keys = (
            f"; its keys are {', '.join(map(str, list(state)[:_SHOWN]))}" if isinstance(state, dict) else ""
        )
        raise RecipeError(f"model.weights: {path} holds no state dict{keys}; save model.state_dict()")
    return dict(state), note


def _unpickled(path: Path) -> object:
    """What `torch.save` put there, tensors only: mapped where they lie as they are, else read."""
    with open_file(path, error=RecipeError) as file:
        if not zipfile.is_zipfile(file):  # as PyTorch saved until 1.5
            file.seek(0)
            return torch.load(file, map_location="cpu", weights_only=True)
        with zipfile.ZipFile(file) as archive:
            check_stored(archive)
    return torch.load(require_file(path, error=RecipeError), map_location="cpu", weights_only=True, mmap=True)


def check_numbers(module: nn.Module, where: str) -> None:
    """Checks that no weight of the module is NaN and no parameter infinite, as after diverged training.

    A parameter of -inf and an infinite buffer may be a mask.

    Raises:
        RecipeError: one is; names `where` it came from, the tensor, the place and the number.
    """
    for name, tensor in (*module.named_parameters(), *module.named_buffers()):
        if is_lazy(tensor) or tensor.is_meta or tensor.dtype not in _FLOATS or tensor.layout != torch.strided:
            continue
        if torch.isfinite(tensor.detach().sum()):
            continue  # a sum over what is not finite is not finite, and takes no memory
        wrong = tensor.isnan()
        if isinstance(tensor, nn.Parameter):
            wrong |= tensor == torch.inf
        if wrong.any():
            place = [int(each) for each in wrong.nonzero()[0]]
            raise RecipeError(
                f"{where}: {name} holds {tensor[tuple(place)].item()} at {place}; the training diverged, so "
                "take an earlier checkpoint"
            )


def _load(module: nn.Module, state: Mapping[str, Tensor], name: str) -> str:
    """Puts the tensors into the module; the sentence to say where their names were looked through."""
    expected = module.state_dict()
    names, note = renamed(state, expected)
    state = {names[key]: each for key, each in state.items()}
    for key in sorted(expected.keys() | state.keys()):
        if key not in state and not _has_twin(key, expected, state):
            raise RecipeError(
                f"model.weights: {name} lacks {key!r}, which the module has{hint(state, expected)}"
            )
        if key not in expected:
            raise RecipeError(
                f"model.weights: {name} has {key!r}, which the module lacks{hint(state, expected)}"
            )
        if key in state:
            _check_fits(key, state[key], expected[key], name)
    _check_tied(module, state, name)
    module.load_state_dict(state, strict=False)
    return note


def _check_fits(key: str, given: Tensor, wanted: Tensor, name: str) -> None:
    """Checks that a tensor has the module's shape and kind, and that its numbers fit the module's dtype."""
    if given.shape != wanted.shape:
        raise RecipeError(
            f"model.weights: {name}: {key} is {list(given.shape)}; the module has "
            f"{list(wanted.shape)}; train again, or give the factory the sizes of that training in "
            "model.arguments"
        )
    if _kind(given) != _kind(wanted):
        raise RecipeError(
            f"model.weights: {name}: {key} is {_dtype(given)}; the module has {_dtype(wanted)}; "
            "save the checkpoint again"
        )
    lost = None if given.dtype == wanted.dtype else _unheld(given, wanted.dtype)
    if lost is not None:
        raise RecipeError(
            f"model.weights: {name}: {key} holds {_shown(lost)}, which {_dtype(wanted)} cannot hold; "
            "rescale the tensor, or widen the module's"
        )


def _shown(number: float) -> str:
    return f"{number:g}" if isinstance(number, float) else str(number)


def _unheld(given: Tensor, dtype: torch.dtype) -> float | int | None:
    """A number of the tensor that another dtype of its kind cannot hold; None where it holds all."""
    if given.is_floating_point():
        lost = given.isfinite() & ~given.to(dtype).isfinite()
        return given[lost][0].item() if lost.any() else None
    if not given.numel() or dtype == torch.bool or dtype.is_complex:
        return None
    numbers, ends = given.detach().numpy(), torch.iinfo(dtype)  # torch has no least of unsigned numbers
    found = (int(each) for each in (numbers.min(), numbers.max()))
    return next((each for each in found if not ends.min <= each <= ends.max), None)


def _kind(tensor: Tensor) -> str:
    if tensor.dtype == torch.bool:
        return "bool"
    return "complex" if tensor.is_complex() else "float" if tensor.is_floating_point() else "integer"


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _check_tied(module: nn.Module, state: Mapping[str, Tensor], name: str) -> None:
    """Checks that the names of one tensor of the module have the same numbers in the checkpoint."""
    for _, names in named_tensors(module):
        first, *others = [each for each in names if each in state] or [""]
        for other in others:
            if not _same(state[first], state[other]):
                raise RecipeError(
                    f"model.weights: {name}: {first} and {other} are one tensor in the module (tied) and "
                    "hold different numbers; untie them in the module, or save the checkpoint again"
                )


def _same(one: Tensor, other: Tensor) -> bool:
    """Whether two tensors hold the same numbers; NaN is the same as NaN."""
    if one.shape != other.shape or one.dtype != other.dtype:
        return False
    equal = one == other
    return bool((equal | (one.isnan() & other.isnan())).all() if one.is_floating_point() else equal.all())


def _has_twin(key: str, expected: Mapping[str, Tensor], state: Mapping[str, Tensor]) -> bool:
    """True where another name of the same storage is in the file: tied tensors are saved once."""
    place = expected[key].data_ptr()
    return any(other in state and expected[other].data_ptr() == place for other in expected if other != key)
