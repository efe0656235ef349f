"""Any module behind positional tensors: nested inputs and outputs, flattened and put back together."""

from __future__ import annotations

import dataclasses
import inspect
import re
from collections.abc import Collection, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from pocketrec.contract import CORE_ML_WORDS, RESERVED_NAMES
from pocketrec.convert.example.wide import InFloat32
from pocketrec.errors import InputError, Refused, meant

_INT32 = (-(2**31), 2**31 - 1)
_UNSIGNED = (torch.uint16, torch.uint32, torch.uint64)
_SYMBOLS = re.compile(r"\W+", re.ASCII)


class FlatModule(nn.Module):
    """A module that takes the tensors of its example in order, and returns its tensors in order.

    Leaves of the example that are no tensors (numbers, strings, None) stay as they were. Tensors
    come in the contract's dtypes and reach the module in those of the example.
    """

    def __init__(self, module: nn.Module, example: FlatExample) -> None:
        super().__init__()
        self.module = module
        self.training = False
        self._example = example
        self.outlines: tuple[tuple[int | str, ...], ...] = ()

    @property
    def remark(self) -> str:
        """How the example was understood, where that may be why it does not run."""
        return self._example.remark

    @property
    def names(self) -> tuple[str, ...]:
        """One per tensor that goes in."""
        return self._example.names

    def raw(self, *tensors: Tensor) -> object:
        """What the module itself returns."""
        args, kwargs = self._example.unflatten(tensors)
        with InFloat32() if self._example.in_float32 else nullcontext():
            return self.module(*args, **kwargs)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """The module's output tensors, flattened; an axis that a batch of one lost is put back."""
        values = [each for each in _leaves(self.raw(*tensors)) if isinstance(each, Tensor)]
        if not self.outlines:
            return tuple(values)
        return tuple(_like(each, outline) for each, outline in zip(values, self.outlines, strict=True))


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FlatExample:
    """Example inputs as a flat list of named tensors.

    Attributes:
        tensors: in the order of torch.utils._pytree, in float32, int32, or int64 beyond it.
        dtypes: what the module takes.
        names: one per tensor: the parameter of `forward` and the keys that lead to it.
        remark: how the example was understood, where that may be why it does not run.
        in_float32: the module was in 16 bits and casts to them; now it computes in float32 all the same.
    """

    tensors: tuple[Tensor, ...]
    dtypes: tuple[torch.dtype, ...]
    names: tuple[str, ...]
    leaves: tuple[Any, ...]
    places: tuple[int, ...]
    spec: pytree.TreeSpec
    remark: str = ""
    in_float32: bool = False

    def __deepcopy__(self, memo: dict[int, Any]) -> FlatExample:
        """Itself: nothing in it is ever written to, and a tree's shape copies itself with a warning."""
        return self

    def unflatten(self, tensors: Sequence[Tensor]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """The module's arguments with copies of these tensors in their places: it may write to them."""
        leaves = list(self.leaves)
        for place, tensor, dtype in zip(self.places, tensors, self.dtypes, strict=True):
            leaves[place] = tensor.to(dtype, copy=True)
        args, kwargs = _rebuild(pytree.tree_unflatten(leaves, self.spec))
        return args, kwargs


def flatten_example(module: nn.Module, example: object) -> FlatExample:
    """The example of `module` as named tensors.

    Args:
        module: its `forward` says whether a dict is one argument or keyword arguments.
        example: a tensor, a tuple of arguments, or a dict; nested as the module takes it.

    Raises:
        InputError: there is no tensor in it, or one of unsigned integers of more than 8 bits.
        Refused: it holds numbers that no target has.
    """
    args, kwargs = _arguments(module, pytree.tree_map(_as_tensor, example))
    names = _positional_names(module, len(args))
    pairs, spec = pytree.tree_flatten_with_path((_nodes(args), _nodes(kwargs)))
    leaves = [leaf for _, leaf in pairs]
    places = tuple(place for place, leaf in enumerate(leaves) if isinstance(leaf, Tensor))
    if not places:
        raise InputError(
            f"{type(module).__name__}: the example has no tensor; pass a tuple or dict of tensors"
        )
    paths = [_path_name(pairs[place][0], names) for place in places]
    return FlatExample(
        tensors=tuple(_portable(leaves[place], name) for place, name in zip(places, paths, strict=True)),
        dtypes=tuple(leaves[place].dtype for place in places),
        names=unique_names(paths),
        leaves=tuple(None if isinstance(leaf, Tensor) else leaf for leaf in leaves),
        places=places,
        spec=spec,
        remark=_remark(module, args) if isinstance(example, Mapping) and not kwargs else "",
    )


def _remark(module: nn.Module, args: Sequence[Any]) -> str:
    """That a dict went in as one argument."""
    named = ", ".join(each.name for each in _parameters(module))
    keys = ", ".join(map(str, args[0]))
    return f"its keys ({keys}) are no parameters of forward({named}) and went in as one dict"


def output_names(outputs: object, taken: Sequence[str]) -> tuple[str, ...]:
    """A name for every tensor that a module returned, none of them in `taken`."""
    pairs, _ = pytree.tree_flatten_with_path(_nodes(outputs))
    paths = ["_".join(_key(each) for each in path) for path, leaf in pairs if isinstance(leaf, Tensor)]
    named = [path if path and not path[0].isdigit() else f"output_{path}".rstrip("_") for path in paths]
    return unique_names(named, taken=taken)


def unique_names(wanted: Sequence[str], taken: Sequence[str] = ()) -> tuple[str, ...]:
    """The wanted names made fit for every target: letters, digits and _, each one once."""
    used = {name.lower() for name in taken}
    found = []
    for each in wanted:
        name = _SYMBOLS.sub("_", each).strip("_") or "x"
        name = name if name[0].isalpha() else f"x_{name}"
        base = f"{name}_value" if name in RESERVED_NAMES | CORE_ML_WORDS else name
        name, count = base, 1
        while name.lower() in used:
            name, count = f"{base}_{count}", count + 1
        used.add(name.lower())
        found.append(name)
    return tuple(found)


def _as_tensor(leaf: Any) -> Any:
    """A NumPy array as the tensor with its numbers; anything else as it is."""
    if not isinstance(leaf, np.ndarray):
        return leaf
    try:  # in this machine's order of bytes, and forwards
        return torch.from_numpy(np.asarray(leaf, leaf.dtype.newbyteorder("="), order="C"))
    except TypeError:
        raise InputError(
            f"the example has an array of dtype {leaf.dtype}; expected numbers or booleans"
        ) from None


def _arguments(module: nn.Module, example: object) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if isinstance(example, Mapping):
        args, kwargs = _mapping(module, example)
        return (
            (_in_order(module, kwargs), {})
            if isinstance(module, torch.jit.ScriptModule) and kwargs
            else (args, kwargs)
        )
    if isinstance(example, list):
        return tuple(example), {}
    return (
        (example, {}) if isinstance(example, tuple) and not hasattr(example, "_fields") else ((example,), {})
    )


def _mapping(module: nn.Module, example: Mapping[Any, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Keyword arguments where the keys are parameters of `forward`, else one argument."""
    parameters = _parameters(module)
    named = [each for each in parameters if each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD)]
    known = {each.name: None for each in named}.keys()
    required = {each.name for each in named if each.default is each.empty}
    keys = {key for key in example if isinstance(key, str)}
    anything = any(each.kind is each.VAR_KEYWORD for each in parameters)
    if len(keys) == len(example) and required <= keys and (keys <= known or anything):
        return (), dict(example)
    if len(named) > 1 and (keys & known or len(required) > 1):
        raise InputError(_misnamed(keys, known, required))
    return (dict(example),), {}


def _misnamed(keys: Collection[str], known: Collection[str], required: Collection[str]) -> str:
    """What to say of keyword arguments that `forward` does not take, or that it lacks."""
    lacking, surplus = sorted(set(required) - set(keys)), sorted(set(keys) - set(known))
    wrong = f"has {surplus[0]!r}" if surplus else f"lacks {lacking[0]!r}"
    near = meant(surplus[0], known) if surplus else ""
    return f"the example {wrong}; forward takes {', '.join(known)}{near}"


def _in_order(module: nn.Module, named: Mapping[str, Any]) -> tuple[Any, ...]:
    """The arguments by place, up to the last one that is named: a graph of TorchScript knows no names."""
    parameters = _parameters(module)
    last = max(place for place, each in enumerate(parameters) if each.name in named)
    return tuple(named.get(each.name, each.default) for each in parameters[: last + 1])


def _parameters(module: nn.Module) -> list[inspect.Parameter]:
    if not isinstance(module, torch.jit.ScriptModule):
        return list(inspect.signature(module.forward).parameters.values())
    forward: Any = module.forward
    arguments = forward.schema.arguments[1:]  # the first is self
    return [
        inspect.Parameter(
            each.name,
            inspect.Parameter.POSITIONAL_OR_KEYWORD,
            default=each.default_value if each.has_default_value() else inspect.Parameter.empty,
        )
        for each in arguments
    ]


def _positional_names(module: nn.Module, count: int) -> list[str]:
    names = [
        each.name
        for each in _parameters(module)
        if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    return [names[place] if place < len(names) else f"input_{place}" for place in range(count)]


def _path_name(path: tuple[Any, ...], names: Sequence[str]) -> str:
    """The keys below the argument; the argument's own name where it is the tensor itself."""
    where, argument, *rest = path
    first = str(names[argument.idx] if where.idx == 0 else argument.key)
    keys = [_key(each) for each in rest]
    if not keys:
        return first
    # A dict of named features needs no prefix; a place in a list says nothing by itself.
    return "_".join(keys) if not keys[0].isdigit() else "_".join([first, *keys])


def _key(entry: Any) -> str:
    for name in ("key", "idx", "name"):
        if hasattr(entry, name):
            return str(getattr(entry, name))
    return str(entry).strip("[].'\"")


def _portable(tensor: Tensor, name: str) -> Tensor:
    """The tensor in int32 or float32, which every target takes, or in int64, where int32 does not hold it."""
    if tensor.layout != torch.strided or tensor.is_complex():
        raise Refused(
            op="input",
            where="",
            reason=f"{name} is {tensor.dtype}, {tensor.layout}, which no target has",
            remedy="pass dense real tensors",
        )
    if tensor.dtype in _UNSIGNED:
        raise InputError(
            f"input {name} is {tensor.dtype}, for which PyTorch has few operations and no target an input; "
            "pass int64, as `array.astype(numpy.int64)`"
        )
    if tensor.is_floating_point():
        made = tensor.detach().to(torch.float32).contiguous()
        lost = made.isinf() & ~tensor.isinf()
        if lost.any():
            raise InputError(f"input {name} holds {float(tensor[lost][0]):g}; float32 cannot, rescale it")
        return made
    if tensor.dtype != torch.bool and tensor.numel():
        low, high = int(tensor.min()), int(tensor.max())
        if low < _INT32[0] or high > _INT32[1]:
            return tensor.detach().to(torch.int64).contiguous()
    return tensor.detach().to(torch.int32).contiguous()


class _Fields:
    """A dataclass as a pytree node, which torch has for registered classes only."""

    def __init__(self, kind: type[Any], values: dict[str, Any]) -> None:
        self.kind, self.values = kind, values


def _fields_flatten(node: _Fields) -> tuple[list[Any], Any]:
    return list(node.values.values()), (node.kind, tuple(node.values))


def _fields_unflatten(values: Any, context: Any) -> _Fields:
    kind, names = context
    return _Fields(kind, dict(zip(names, values, strict=True)))


def _fields_with_keys(node: _Fields) -> tuple[list[tuple[Any, Any]], Any]:
    return [(pytree.GetAttrKey(k), v) for k, v in node.values.items()], (node.kind, tuple(node.values))


pytree.register_pytree_node(
    _Fields, _fields_flatten, _fields_unflatten, flatten_with_keys_fn=_fields_with_keys
)


def _nodes(value: Any) -> Any:
    return pytree.tree_map(_node, value)


def _node(leaf: Any) -> Any:
    if dataclasses.is_dataclass(leaf) and not isinstance(leaf, type):
        return _Fields(
            type(leaf), {each.name: _nodes(getattr(leaf, each.name)) for each in dataclasses.fields(leaf)}
        )
    return leaf


def _rebuild(value: Any) -> Any:
    def back(leaf: Any) -> Any:
        return leaf.kind(**_rebuild(leaf.values)) if isinstance(leaf, _Fields) else leaf

    return pytree.tree_map(back, value, is_leaf=lambda each: isinstance(each, _Fields))


def _like(tensor: Tensor, outline: tuple[int | str, ...]) -> Tensor:
    """The tensor; where it has fewer axes than its outline, those of a single row."""
    if tensor.ndim == len(outline):
        return tensor
    return tensor.reshape([1 if isinstance(size, str) else size for size in outline])


def _leaves(value: Any) -> list[Any]:
    leaves: list[Any] = pytree.tree_leaves(_nodes(value))
    return leaves
