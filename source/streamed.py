"""The trained module with stubs in place of its large tables; everything else is loaded as always.

While the factory runs, whatever PyTorch would allocate for a large tensor is made on the meta
device instead. A factory that fills a large tensor itself (from a file, from NumPy) still works; it
costs that memory once, and the notes say so.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from pocketrec.errors import RecipeError
from pocketrec.files import write_all, written_file
from pocketrec.outside import open_file
from pocketrec.recipe import ModelSource
from pocketrec.source.checkpoint import Span, open_checkpoint
from pocketrec.source.factory import call_factory
from pocketrec.source.stubs import stub_tensor
from pocketrec.source.tables import Table
from pocketrec.source.weight_names import hint, renamed

_DTYPES = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32, "F64": torch.float64}
_DTYPES |= {"I8": torch.int8, "I16": torch.int16, "I32": torch.int32, "I64": torch.int64}
_DTYPES |= {"U8": torch.uint8, "BOOL": torch.bool}
_PIECE = 16 << 20  # bytes that are compared at a time
_SIZED = frozenset(["empty", "zeros", "ones", "full", "rand", "randn"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stubbed:
    """A module as it is captured and lowered, and the tables that are not held in it.

    Attributes:
        lowered: in eval mode, with stubs in place of its large tables.
        tables: what the stubs stand for, numbered from 0; a tied table once, under its first name.
            Empty where everything is held.
        notes: what a user must know of how it was loaded.
    """

    lowered: nn.Module
    tables: tuple[Table, ...] = ()
    notes: tuple[str, ...] = ()


def reaches(source: ModelSource, *, base: Path) -> bool:
    """True where the checkpoint has a tensor that the recipe wants streamed.

    Raises:
        RecipeError: the checkpoint is damaged or shorter than it says.
    """
    if source.weights is None or not source.stream_bytes:
        return False
    path = base / source.weights
    if not path.exists():
        return False  # whoever loads it says so
    whole = path.is_file() and not path.name.endswith(".index.json")
    if whole and 2 * path.stat().st_size < source.stream_bytes:
        return False  # even as float16 no tensor in it is large enough
    return any(_is_large(span, source.stream_bytes) for span in open_checkpoint(path).values())


def load_streamed(source: ModelSource, *, base: Path) -> Stubbed:
    """The module with a stub for every float matrix of `source.stream_bytes` or more that is not square.

    Raises:
        RecipeError: there are no weights to stream from, or they do not fit; names tensor or file.
    """
    if source.weights is None:
        raise RecipeError("model.weights is not set; tables are streamed from a checkpoint, so name one")
    stream_bytes = source.stream_bytes
    module, notes, spans = _build(source, base, stream_bytes, open_checkpoint(base / source.weights))
    names = named_tensors(module)
    _check(module, names, spans, source.weights)
    tables: list[Table] = []
    for tensor, (first, *others) in names:
        span = next((spans[name] for name in (first, *others) if name in spans), None)
        if span is None:
            continue  # not persistent: the factory made it
        if _is_table(tensor, span, stream_bytes):
            tables.append(Table(name=first, number=len(tables), span=span))
            new = stub_tensor(len(tables) - 1, span.shape)
        else:
            new = read_tensor(span).to(tensor.dtype)
        _replace(module, (first, *others), new)
    return Stubbed(lowered=module.eval().requires_grad_(False), tables=tuple(tables), notes=tuple(notes))


def spilled(module: nn.Module, folder: Path, stream_bytes: int) -> tuple[Stubbed, dict[str, Span]]:
    """A copy of a module in memory with stubs for its large tables, whose values go to files in `folder`.

    Args:
        module: in eval mode; it is not changed.
        folder: of the files, one a table, float32.
        stream_bytes: matrices of so many bytes that are not square are large.

    Raises:
        StorageError: there is no room in `folder`.
    """
    tables: list[Table] = []
    spans: dict[str, Span] = {}
    stubs: dict[str, Tensor] = {}
    for tensor, (first, *_) in named_tensors(module):
        span = Span(
            name=first,
            path=folder / f"held-{len(tables)}.float32",
            offset=0,
            dtype="F32",
            shape=tuple(tensor.shape),
        )
        if tensor.is_meta or not _is_table(tensor, span, stream_bytes):
            continue
        with written_file(span.path, span.size_bytes) as file:
            write_all(file, tensor.detach().contiguous().numpy(), 0)
        stubs[first] = stub_tensor(len(tables), span.shape)
        tables.append(Table(name=first, number=len(tables), span=span))
        spans[first] = span
    if not tables:
        return Stubbed(lowered=module), {}
    return Stubbed(lowered=with_tensors(module, stubs), tables=tuple(tables)), spans


def _build(
    source: ModelSource, base: Path, stream_bytes: int, spans: Mapping[str, Span]
) -> tuple[nn.Module, list[str], Mapping[str, Span]]:
    """The module, what to say of it, and the spans under the module's names."""
    with _LargeOnMeta(stream_bytes):
        module = _called(source, base)
    names, note = renamed(spans, module.state_dict(keep_vars=True))
    spans, said = {names[key]: each for key, each in spans.items()}, [note] if note else []
    lost = [first for tensor, (first, *_) in named_tensors(module) if tensor.is_meta and first not in spans]
    persistent = set(module.state_dict(keep_vars=True))
    if [name for name in lost if name not in persistent]:
        said.append(f"model.factory computes {lost[0]}, so it was called with all its memory")
        return _called(source, base), said, spans
    held = [
        (first, tensor)
        for tensor, (first, *_) in named_tensors(module)
        if not tensor.is_meta and first in spans and _is_table(tensor, spans[first], stream_bytes)
    ]
    said += [
        f"model.factory allocates {first} itself ({each.numel() * each.element_size()} bytes)"
        for first, each in held
    ]
    return module, said, spans


def _called(source: ModelSource, base: Path) -> nn.Module:
    module = call_factory(source.factory, base=base, key="model.factory", arguments=source.arguments)
    if not isinstance(module, nn.Module):
        raise RecipeError(
            f"model.factory = {source.factory!r} returned {type(module).__name__}; expected an nn.Module"
        )
    return module


def _is_table(tensor: Tensor, span: Span, stream_bytes: int) -> bool:
    return _is_large(span, stream_bytes) and tensor.dtype == torch.float32


def _is_large(span: Span, stream_bytes: int) -> bool:
    """Whether it is streamed; a square matrix is a layer's, and could be read turned without a trace."""
    oblong = len(span.shape) == 2 and span.shape[0] != span.shape[1]
    return oblong and span.is_float and 4 * math.prod(span.shape) >= stream_bytes


def named_tensors(module: nn.Module) -> list[tuple[Tensor, list[str]]]:
    """Every tensor of the module with all its names; tensors of one storage and shape are one."""
    found: dict[Any, tuple[Tensor, list[str]]] = {}
    everything = (
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    )
    for name, tensor in everything:
        key = (tensor.untyped_storage()._cdata, tensor.storage_offset(), tensor.shape, tensor.stride())
        found.setdefault(key, (tensor, []))[1].append(name)
    return list(found.values())


def _check(
    module: nn.Module, names: Sequence[tuple[Tensor, list[str]]], spans: Mapping[str, Span], weights: str
) -> None:
    persistent = module.state_dict(keep_vars=True)
    for tensor, each in names:
        present = [name for name in each if name in spans]
        if not present and any(name in persistent for name in each):
            raise RecipeError(
                f"model.weights: {weights} lacks {each[0]!r}, which the module has{hint(spans, persistent)}"
            )
        for name in present:
            _check_one(name, tensor, spans[name], weights)
        for name in present[1:]:
            if not _same_values(spans[present[0]], spans[name]):
                raise RecipeError(
                    f"model.weights: {weights}: {present[0]} and {name} are one tensor in the module (tied) "
                    "and hold different numbers; untie them in the module, or save the checkpoint again"
                )
    surplus = sorted(set(spans) - {name for _, each in names for name in each})
    if surplus:
        raise RecipeError(
            f"model.weights: {weights} has {surplus[0]!r}, which the module lacks{hint(spans, persistent)}"
        )


def _check_one(name: str, tensor: Tensor, span: Span, weights: str) -> None:
    if span.shape != tuple(tensor.shape):
        raise RecipeError(
            f"model.weights: {weights}: {name} is {list(span.shape)}; the module has "
            f"{list(tensor.shape)}; train again, or give the factory the sizes of that training in "
            "model.arguments"
        )
    given = _DTYPES.get(span.dtype)
    if given is None or given.is_floating_point != tensor.dtype.is_floating_point:
        raise RecipeError(
            f"model.weights: {weights}: {name} is {span.dtype}; the module has "
            f"{str(tensor.dtype).removeprefix('torch.')}; save the checkpoint again"
        )


def _same_values(one: Span, other: Span) -> bool:
    """Whether two tensors of a checkpoint are the same bytes, compared in pieces."""
    if (one.path, one.offset) == (other.path, other.offset):
        return True
    if one.dtype != other.dtype:
        return False
    with open_file(one.path, error=RecipeError) as left, open_file(other.path, error=RecipeError) as right:
        left.seek(one.offset)
        right.seek(other.offset)
        for start in range(0, one.size_bytes, _PIECE):
            size = min(_PIECE, one.size_bytes - start)
            if left.read(size) != right.read(size):
                return False
    return True


def read_tensor(span: Span) -> Tensor:
    """The tensor's values, in memory."""
    with open_file(span.path, error=RecipeError) as file:
        raw = np.fromfile(file, np.uint8, span.size_bytes, offset=span.offset)
    if span.dtype not in _DTYPES:
        raise RecipeError(f"{span.path}: {span.name} is {span.dtype}; expected one of {', '.join(_DTYPES)}")
    if len(raw) < span.size_bytes:
        raise RecipeError(f"{span.path}: ends inside {span.name}; copy or save the checkpoint again")
    return torch.from_numpy(raw).view(_DTYPES[span.dtype]).reshape(span.shape)


def mapped_tensor(span: Span) -> Tensor:
    """The tensor's values, mapped from the file: only what is touched is read."""
    with open_file(span.path, error=RecipeError) as file:
        raw = np.memmap(file, np.uint8, "c", offset=span.offset, shape=(span.size_bytes,))
    return torch.from_numpy(np.asarray(raw)).view(_DTYPES[span.dtype]).reshape(span.shape).float()


def with_tensors(module: nn.Module, new: Mapping[str, Tensor]) -> nn.Module:
    """A copy with other tensors under these names, ties kept; everything else is shared."""
    memo: dict[int, Any] = {id(tensor): tensor for tensor, _ in named_tensors(module)}
    copied = copy.deepcopy(module, {**memo, **_all_ids(module)})
    for tensor, names in named_tensors(module):
        del tensor
        value = next((new[name] for name in names if name in new), None)
        if value is not None:
            _replace(copied, names, value)
    return copied.eval()


def _all_ids(module: nn.Module) -> dict[int, Tensor]:
    everything = (
        *module.named_parameters(remove_duplicate=False),
        *module.named_buffers(remove_duplicate=False),
    )
    return {id(tensor): tensor for _, tensor in everything}


def _replace(module: nn.Module, names: Sequence[str], value: Tensor) -> None:
    """Puts one tensor under all of the names."""
    parameter = nn.Parameter(value, requires_grad=False) if value.is_floating_point() else None
    for name in names:
        path, _, last = name.rpartition(".")
        owner = module.get_submodule(path)
        if last in owner._parameters:
            owner._parameters[last] = parameter if parameter is not None else nn.Parameter(value, False)
        else:
            owner._buffers[last] = value


class _LargeOnMeta(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Makes large tensors on the meta device, whatever their initial values are to be."""

    def __init__(self, stream_bytes: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._elements = stream_bytes // 4

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = func._schema.name.removeprefix("aten::")
        if name in _SIZED and args and isinstance(args[0], list | tuple):
            sizes = [each for each in args[0] if isinstance(each, int)]
            if math.prod(sizes) >= self._elements:
                kwargs = {**kwargs, "device": torch.device("meta")}
        return func(*args, **kwargs)
