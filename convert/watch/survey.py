"""What a forward does with its inputs, seen in one eager run: which tensors depend on which inputs.

The survey finds what a converter cannot see afterwards: values that leave PyTorch (`.item()`,
`.numpy()`), random draws, constants that are computed anew in every call, and the tables that an
input of ids reads. It decides refusals with the user's own line, and what capture may replay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from pocketrec.convert.watch.lines import user_line
from pocketrec.convert.watch.patches import uncompiled

# Values that leave PyTorch; what Python or NumPy makes of them no exporter sees.
_ESCAPES = frozenset(
    [
        "item",
        "tolist",
        "numpy",
        "__array__",
        "__bool__",
        "__int__",
        "__float__",
        "__index__",
        "__contains__",
        "is_nonzero",
        "equal",
        "allclose",
    ]
)
# Results whose shape depends on values.
_DATA_SHAPED = frozenset(
    [
        "nonzero",
        "masked_select",
        "unique",
        "_unique2",
        "unique_consecutive",
        "unique_dim",
        "argwhere",
        "combinations",
        "bincount",
    ]
)
_RANDOM = frozenset(
    [
        "rand",
        "randn",
        "randint",
        "randperm",
        "rand_like",
        "randn_like",
        "randint_like",
        "bernoulli",
        "bernoulli_",
        "multinomial",
        "normal",
        "normal_",
        "uniform_",
        "exponential_",
        "random_",
        "cauchy_",
        "log_normal_",
        "geometric_",
        "poisson",
        "rrelu_",
    ]
)
_DROPOUT = frozenset(
    ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"]
)
# Functions that pass values on unchanged, so that an id stays the same id.
_UNCHANGED = frozenset(
    [
        "long",
        "int",
        "to",
        "type",
        "view",
        "reshape",
        "unsqueeze",
        "squeeze",
        "__getitem__",
        "flatten",
        "cat",
        "concat",
        "stack",
        "expand",
        "expand_as",
        "contiguous",
        "clone",
        "detach",
        "cpu",
        "transpose",
        "permute",
        "split",
        "chunk",
        "select",
        "narrow",
        "index_select",
        "t",
        "repeat",
        "tile",
        "type_as",
        "unbind",
        "hstack",
        "vstack",
        "split_with_sizes",
        "tensor_split",
        "as_strided",
        "ravel",
        "repeat_interleave",
        "movedim",
        "__get__",
    ]
)
_JOINS = frozenset(["cat", "concat", "stack", "hstack", "vstack"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """A call that an exporter may not follow.

    Attributes:
        kind: `escape`, `shape` (a shape that depends on values) or `sparse`.
        name: the function's name, such as `item`.
        function: the function itself.
        where: the user's `file:line`.
        sources: numbers of the inputs that the arguments depend on; empty for a constant.
        value: what the call returned.
        mask: the one boolean tensor that chooses elements, where it depends on no input.
    """

    kind: str
    name: str
    function: Callable[..., Any]
    where: str
    sources: frozenset[int]
    value: Any
    mask: Tensor | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Lookup:
    """A table that an input reads by id; `storage` is the same for the same table."""

    source: int
    rows: int
    padding_id: int | None
    exact: bool
    storage: int = 0


@dataclass(slots=True, kw_only=True)
class Survey:
    """The findings of one run.

    Attributes:
        events: in the order of the calls.
        tables: which input reads which table; `exact` where the ids arrive unchanged.
        random: `name at file:line` of every random draw.
        outputs: for every output the numbers of the inputs that it depends on.
    """

    events: list[Event] = field(default_factory=list)
    tables: list[Lookup] = field(default_factory=list)
    random: list[tuple[str, str]] = field(default_factory=list)
    outputs: tuple[frozenset[int], ...] = ()


class Recording(Protocol):
    """A module that says of every event when it comes; see `intercept.Interception`."""

    recorder: Recorder | None

    def __call__(self, *inputs: Tensor) -> tuple[Tensor, ...]: ...


# Told of an event after the call; True where the event depends on an input.
Recorder = Callable[[str, Callable[..., Any], Sequence[Any], Mapping[str, Any], Any], bool]


def survey(module: Recording, inputs: Sequence[Tensor]) -> Survey:
    """What one call of `module` with `inputs` does; every exception of the call is raised on."""
    found = Survey()
    watcher = _Watcher(found)
    module.recorder = watcher.record
    try:
        outputs = _watched(module, inputs, watcher)
    finally:
        module.recorder = None
    found.outputs = tuple(watcher.sources(each) for each in outputs)
    return found


def tables_read(module: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor]) -> list[Lookup]:
    """Which inputs read which tables by id, in one call of `module`."""
    found = Survey()
    _watched(module, inputs, _Watcher(found))
    return found.tables


def _watched(
    module: Callable[..., tuple[Tensor, ...]], inputs: Sequence[Tensor], watcher: _Watcher
) -> tuple[Tensor, ...]:
    fresh = [each.clone() for each in inputs]
    for number, tensor in enumerate(fresh):
        watcher.mark(tensor, frozenset({number}), frozenset({number}))
    with torch.no_grad(), uncompiled(), watcher:
        return module(*fresh)


def event_kind(name: str, tensors: Sequence[Tensor]) -> str:
    """The kind of event that a call of this name with these tensors is; empty where it is none.

    It must not depend on values: the same calls are counted eagerly and at capture.
    """
    if not tensors or name in ("__get__", "size", "dim", "stride", "is_floating_point", "__repr__"):
        return ""
    if name in _ESCAPES:
        return "escape"
    if any(each.layout != torch.strided for each in tensors):
        return "sparse"
    return "shape" if name in _DATA_SHAPED or _indexes_by_mask(name, tensors) else ""


def _indexes_by_mask(name: str, tensors: Sequence[Tensor]) -> bool:
    return name == "__getitem__" and any(each.dtype in (torch.bool, torch.uint8) for each in tensors[1:])


def function_name(function: Callable[..., Any]) -> str:
    """The function's plain name; private C functions have the name of the public one."""
    return str(getattr(function, "__name__", function))


def tensors_in(args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """All tensors of a call, nested ones too."""
    return [each for each in tree_leaves((args, kwargs)) if isinstance(each, Tensor)]


class _Watcher(TorchFunctionMode):
    """Follows the inputs through every function of PyTorch."""

    def __init__(self, found: Survey) -> None:
        super().__init__()
        self._found = found
        self._marks: dict[int, tuple[Tensor, frozenset[int], frozenset[int]]] = {}

    def mark(self, tensor: Tensor, sources: frozenset[int], unchanged: frozenset[int]) -> None:
        # The tensor is kept, so that its id is not given to another one while the survey lasts.
        self._marks[id(tensor)] = (tensor, sources, unchanged)
        base = tensor._base
        if base is not None and id(base) not in self._marks and sources:
            self._marks[id(base)] = (base, sources, frozenset())

    def sources(self, tensor: Tensor) -> frozenset[int]:
        mark = self._marks.get(id(tensor))
        if mark is None and tensor._base is not None:
            mark = self._marks.get(id(tensor._base))
        return mark[1] if mark else frozenset()

    def _unchanged(self, tensor: Tensor) -> frozenset[int]:
        mark = self._marks.get(id(tensor))
        return mark[2] if mark else frozenset()

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        name = function_name(func)
        tensors = tensors_in(args, kwargs)
        sources: frozenset[int] = frozenset().union(*(self.sources(each) for each in tensors))
        self._note(name, tensors, args, kwargs)
        if sources:
            unchanged: frozenset[int] = frozenset()
            if name in _UNCHANGED:
                passed = tensors if name in _JOINS else tensors[:1]
                unchanged = unchanged.union(*(self._unchanged(each) for each in passed))
            for each in tensors_in((result,), {}):
                self.mark(each, sources | self.sources(each), unchanged)
            if name == "__setitem__" or (name.endswith("_") and not name.startswith("__")):
                target = args[0]
                if isinstance(target, Tensor):
                    self.mark(target, sources | self.sources(target), frozenset())
        return result

    def record(
        self, kind: str, func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any], result: Any
    ) -> bool:
        """True where the event that is noted depends on an input."""
        tensors = tensors_in(args, kwargs)
        masks = [each for each in tensors[1:] if each.dtype == torch.bool]
        constant = len(masks) == 1 and not self.sources(masks[0])
        if constant and function_name(func) == "masked_select":
            masks = [_along(masks[0], tensors[0])]
        sources: frozenset[int] = frozenset().union(*(self.sources(each) for each in tensors))
        self._found.events.append(
            Event(
                kind=kind,
                name=function_name(func),
                function=func,
                where=user_line(),
                sources=sources,
                value=result,
                mask=masks[0] if constant and kind == "shape" else None,
            )
        )
        return bool(sources)

    def _note(
        self, name: str, tensors: Sequence[Tensor], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> None:
        if name in _RANDOM or (name in _DROPOUT and _active(args, kwargs)):
            self._found.random.append((name, user_line()))
        if name in ("embedding", "embedding_bag"):
            self._note_table(args, kwargs)
        elif name == "__getitem__" and len(tensors) == 2 and not self.sources(tensors[0]):
            table = tensors[0]
            rows, storage = int(table.shape[0]), table.data_ptr()
            self._note_ids(tensors[1], rows=rows, padding_id=None, storage=storage)

    def _note_table(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        ids = kwargs.get("input", args[0] if args else None)
        weight = kwargs.get("weight", args[1] if len(args) > 1 else None)
        if not (isinstance(ids, Tensor) and isinstance(weight, Tensor)):
            return
        if ids.is_floating_point():  # torch.embedding takes the table first
            ids, weight = weight, ids
        padding = kwargs.get("padding_idx", args[2] if len(args) > 2 else None)
        padding = padding if isinstance(padding, int) and padding >= 0 else None
        self._note_ids(ids, rows=int(weight.shape[0]), padding_id=padding, storage=weight.data_ptr())

    def _note_ids(self, ids: Tensor, *, rows: int, padding_id: int | None, storage: int) -> None:
        unchanged = self._unchanged(ids)
        self._found.tables.extend(
            Lookup(source=each, rows=rows, padding_id=padding_id, exact=each in unchanged, storage=storage)
            for each in sorted(self.sources(ids))
        )


def _along(mask: Tensor, tensor: Tensor) -> Tensor:
    """The mask at the full size of those axes of the tensor that it has."""
    sizes: Any = torch.broadcast_shapes
    return mask.expand(sizes(mask.shape, tensor.shape[tensor.ndim - mask.ndim :] if mask.ndim else ()))


def _active(args: Sequence[Any], kwargs: Mapping[str, Any]) -> bool:
    probability = kwargs.get("p", args[1] if len(args) > 1 else 0.5)
    training = kwargs.get("training", args[2] if len(args) > 2 else True)
    return bool(training) and bool(probability)
