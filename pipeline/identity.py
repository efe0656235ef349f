"""What decides the numbers of a user's module, as one digest: what it holds, its code, and the code beside.

A module that holds what no digest can be taken of, such as TorchScript or an object of C++, has none; what
it gave is then not kept from one run to the next. Probes' outputs are added where the digest is used.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from types import BuiltinFunctionType, FunctionType, MethodType, ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from pocketrec.errors import PocketrecError
from pocketrec.kept import arrays_sha256, key_of, path_sha256
from pocketrec.workers import user_modules

if TYPE_CHECKING:
    from torch import Tensor, nn

_MOST = 1_000_000  # values in values; of more, or of a circle, no digest is taken
_PLAIN = (bool, int, float, complex, str, bytes, type(None), np.generic)
_KNOWN = frozenset({"torch", "builtins", "abc", "typing", "collections"})  # told by their versions
_UNTOLD = frozenset({"ScriptModule", "GraphModule"})  # classes of PyTorch's whose code is no file


class _Unknown(Exception):
    """Something was met that no digest can be taken of."""


def module_sha256(module: nn.Module) -> str | None:
    """The digest of a module: tensors, attributes, and the source files of its classes; None without one."""
    try:
        files = {path_sha256(each) for one in module.modules() for each in _sources(type(one))}
        files |= {path_sha256(Path(each.__file__)) for each in user_modules() if each.__file__}
        teller = _Teller()
        own = {name: teller.tell(vars(each)) for name, each in module.named_modules()}
    except (_Unknown, OSError, PocketrecError, RuntimeError):
        return None
    return key_of(module=str(module), own=own, files=sorted(files))


def _sources(kind: type) -> Iterator[Path]:
    """The files of a class and of those that it is made from, PyTorch's own left out."""
    for each in kind.__mro__:
        if each.__name__ in _UNTOLD:
            raise _Unknown
        if each.__module__.partition(".")[0] in _KNOWN:
            continue
        file = getattr(sys.modules.get(each.__module__), "__file__", None)
        if file is None:
            raise _Unknown  # made while the program ran
        yield Path(file)


class _Teller:
    """Says values as texts and lists of them, all of what they are."""

    def __init__(self) -> None:
        self._left = _MOST

    def tell(self, value: Any) -> Any:
        """The value; raises _Unknown where a part of it cannot be said."""
        import torch

        self._left -= 1
        if self._left < 0:
            raise _Unknown
        if isinstance(value, _PLAIN):
            return f"{type(value).__name__} {value!r}"
        if isinstance(value, torch.nn.Module):
            return "module"  # told under its own name
        if isinstance(value, torch.Tensor):
            return _tensor_sha256(value)
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufcSU":
            return arrays_sha256({"": np.atleast_1d(value)})
        if isinstance(value, weakref.ref):
            return self.tell(value())
        return self._within(value)

    def _within(self, value: Any) -> Any:
        """What holds other values: a collection, a function, an object."""
        if isinstance(value, Mapping):
            return [[self.tell(key), self.tell(each)] for key, each in value.items()]
        if isinstance(value, set | frozenset):
            return sorted(str(self.tell(each)) for each in value)
        if isinstance(value, Sequence):
            return [self.tell(each) for each in value]
        if isinstance(value, partial):
            return [self.tell(each) for each in (value.func, value.args, value.keywords)]
        if isinstance(value, FunctionType | BuiltinFunctionType | MethodType):
            return self._function(value)
        kind = value if isinstance(value, type) else type(value)
        name = f"{kind.__module__}.{kind.__qualname__}"
        if value is kind:
            return name
        if kind.__module__ == "torch":
            return f"{name} {value!r}"  # dtypes, devices
        if not hasattr(value, "__dict__"):
            raise _Unknown
        return [name, self.tell(vars(value))]

    def _function(self, value: FunctionType | BuiltinFunctionType | MethodType) -> Any:
        """A function by its name, whose file is told elsewhere, with what it is bound to."""
        held: list[Any] = [getattr(value, "__defaults__", None), getattr(value, "__kwdefaults__", None)]
        held += [each.cell_contents for each in getattr(value, "__closure__", None) or ()]
        own = getattr(value, "__self__", None)
        if not isinstance(own, ModuleType):
            held.append(own)
        return [f"{value.__module__}.{value.__qualname__}", self.tell(held)]


def _tensor_sha256(tensor: Tensor) -> str:
    import torch

    if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_meta:
        raise _Unknown
    plain = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
    return key_of(dtype=str(tensor.dtype), shape=list(tensor.shape), bytes=arrays_sha256({"": plain.numpy()}))
