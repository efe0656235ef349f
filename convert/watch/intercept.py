"""Calls of PyTorch's functions replaced while a module runs: constants replayed, functions rewritten.

What exporters cannot follow in the user's Python is answered here, one level above ATen: a value
that does not depend on the inputs is what the survey saw; a function with a rule is what the rule
puts in its place. The same mode works eagerly, so that a rewritten module can be proved by running it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.overrides import TorchFunctionMode, _get_current_function_mode, handle_torch_function

from pocketrec.convert.watch.lines import user_line
from pocketrec.convert.watch.patches import fake_listing, list_fake
from pocketrec.convert.watch.survey import (
    Event,
    Recorder,
    Survey,
    event_kind,
    function_name,
    tensors_in,
)
from pocketrec.errors import Refused

# How Python asks a tensor for its truth.
TRUTHS = frozenset({"__bool__", "is_nonzero"})
# How it asks for its number: kept sizes ask in the one way that leaves a symbol a symbol.
_NUMBERS = frozenset({"item", "__int__", "__float__", "__index__"})


class Listed(list[Any]):
    """What `tolist` gave, and of which tensor."""

    def __init__(self, values: Iterable[Any], tensor: Tensor) -> None:
        super().__init__(values)
        self.tensor = tensor


class FunctionRule(Protocol):
    """A rewrite of calls of some functions."""

    name: str
    reason: str
    functions: frozenset[str]

    def replace(self, function: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """What the call gives, from operations that every target has; NotImplemented to leave it alone."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A boolean mask that is the same in every call, as the places where it is true.

    Attributes:
        places: an index per axis of the mask, without the first axis where `per_row`.
        per_row: the mask repeats the same row along the batch.
    """

    places: tuple[Tensor, ...]
    per_row: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Interception:
    """What is replaced while a module runs.

    Attributes:
        events: the survey's events, in the order in which they come again.
        replayed: numbers of the events whose value is returned without the call.
        choices: numbers of the events that choose by a constant mask.
        branch: the answer to every question about values of inputs; None to ask them.
        rules: function name to the rules that may replace a call of it.
        applied: `(rule's name, file:line)` of every call that a rule replaced, filled as the module runs.
    """

    events: tuple[Event, ...] = ()
    replayed: frozenset[int] = frozenset()
    choices: Mapping[int, Choice] = field(default_factory=dict)
    branch: bool | None = None
    rules: Mapping[str, tuple[FunctionRule, ...]] = field(default_factory=dict)
    applied: dict[tuple[str, str], FunctionRule] = field(default_factory=dict)

    def running(self, recorder: Recorder | None = None) -> TorchFunctionMode:
        """The mode for one call of the module; `recorder` is told of every event."""
        return _Interceptor(self, recorder)


def rules_by_function(rules: Sequence[FunctionRule]) -> dict[str, tuple[FunctionRule, ...]]:
    """The rules by the names of the functions that they look at."""
    names = sorted({name for rule in rules for name in rule.functions})
    return {name: tuple(rule for rule in rules if name in rule.functions) for name in names}


def constant_events(surveys: Sequence[Survey]) -> frozenset[int]:
    """Numbers of the events that have the same value in all surveys and depend on no input.

    The surveys must be of different contents and batch sizes; where they took different ways
    through the code there are none.
    """
    if not _same_way(surveys):
        return frozenset()
    return frozenset(
        number
        for number, each in enumerate(surveys[0].events)
        if not any(other.events[number].sources for other in surveys)
        and all(_equal(each.value, other.events[number].value) for other in surveys[1:])
    )


def steady_branches(surveys: Sequence[Survey]) -> frozenset[int]:
    """Numbers of the events that made a truth value of inputs, the same one in all surveys."""
    if not _same_way(surveys):
        return frozenset()
    return frozenset(
        number
        for number, each in enumerate(surveys[0].events)
        if isinstance(each.value, bool)
        and all(other.events[number].value == each.value for other in surveys[1:])
    )


def constant_choices(surveys: Sequence[Survey]) -> dict[int, Choice]:
    """The events that choose elements of an input by a mask which no input changes."""
    if not _same_way(surveys):
        return {}
    found = {}
    for number in range(len(surveys[0].events)):
        masks = [each.events[number].mask for each in surveys]
        choices = [_choice(each, per_row=False) for each in masks if each is not None]
        if len(choices) == len(surveys) and not all(_equal(choices[0], each) for each in choices):
            rows = [_choice(each[0], per_row=True) for each in masks if each is not None and _repeats(each)]
            choices = (
                rows if len(rows) == len(surveys) and all(_equal(rows[0], each) for each in rows) else []
            )
        if len(choices) == len(surveys):
            found[number] = choices[0]
    return found


def _repeats(mask: Tensor) -> bool:
    return mask.ndim > 1 and len(mask) > 0 and bool((mask == mask[:1]).all())


def _choice(mask: Tensor, *, per_row: bool) -> Choice:
    return Choice(places=mask.nonzero(as_tuple=True), per_row=per_row)


def _same_way(surveys: Sequence[Survey]) -> bool:
    ways = [[each.function for each in found.events] for found in surveys]
    return all(way == ways[0] for way in ways)


def _equal(left: Any, right: Any) -> bool:
    if isinstance(left, Tensor) and isinstance(right, Tensor):
        if left.layout != torch.strided:
            return left.shape == right.shape and left.layout == right.layout
        return left.shape == right.shape and torch.equal(left, right)
    if isinstance(left, Choice) and isinstance(right, Choice):
        return _equal(left.places, right.places)
    if isinstance(left, list | tuple) and isinstance(right, list | tuple):
        return len(left) == len(right) and all(map(_equal, left, right))
    try:
        return bool((left == right).all()) if hasattr(left, "all") else bool(left == right)
    except (AttributeError, TypeError, ValueError, RuntimeError):
        return False


def _numbers(tensor: Tensor) -> Any:
    return list_fake(tensor) if isinstance(tensor, FakeTensor) else tensor.tolist()


def _is_listing(name: str, args: Sequence[Any]) -> bool:
    return name == "tolist" and args[0].ndim > 0  # a number has no list


@contextmanager
def listing_as_one_call() -> Iterator[None]:
    """Makes `tolist` at capture the one call that it is otherwise.

    The tensors of torch.export ask for each number instead, and no rule would see the list.
    """

    def tolist(self: FakeTensor) -> Any:
        mode: Any = _get_current_function_mode()  # type: ignore[no-untyped-call]
        if isinstance(mode, _Interceptor):
            return handle_torch_function(torch.Tensor.tolist, (self,), self)
        return list_fake(self)

    with fake_listing(tolist):
        yield


class _Interceptor(TorchFunctionMode):
    def __init__(self, plan: Interception, recorder: Recorder | None) -> None:
        super().__init__()
        self._plan, self._recorder = plan, recorder
        self._count = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Sequence[Any] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        name = function_name(func)
        for rule in self._plan.rules.get(name, ()):
            result = rule.replace(func, args, kwargs)
            if result is not NotImplemented:
                self._plan.applied.setdefault((rule.name, user_line()), rule)
                return result
        kind = event_kind(name, tensors_in(args, kwargs))
        if not kind:
            return func(*args, **kwargs)
        number, self._count = self._count, self._count + 1
        if number in self._plan.replayed:
            self._check(number, func)
            return self._plan.events[number].value
        if number in self._plan.choices:
            self._check(number, func)
            return _choose(self._plan.choices[number], name, args, kwargs)
        asked = self._plan.branch is not None and name in TRUTHS
        if asked and self._recorder is None:
            return self._plan.branch
        result = Listed(_numbers(args[0]), args[0]) if _is_listing(name, args) else func(*args, **kwargs)
        depends = self._recorder is not None and self._recorder(kind, func, args, kwargs, result)
        return self._plan.branch if asked and depends else result

    def _check(self, number: int, func: Callable[..., Any]) -> None:
        event = self._plan.events[number]
        name = function_name(func)
        if event.function is not func and not {event.name, name} <= _NUMBERS:
            raise Refused(
                op=name,
                where=user_line(),
                reason=f"the code takes another way at capture: {event.name} was expected here",
                remedy="make the forward take the same way for every input",
            )


def _choose(choice: Choice, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """What masked_select, or an index with one mask in it, gives; by gathering."""
    rows = (slice(None),) if choice.per_row else ()
    tensor = args[0] if args else kwargs["input"]
    if name == "__getitem__":
        index = args[1] if isinstance(args[1], tuple) else (args[1],)
        places = [part for each in index for part in ((*rows, *choice.places) if _is_mask(each) else (each,))]
        chosen = tensor[tuple(places)]
        return chosen.flatten(0, 1) if choice.per_row else chosen
    mask = args[1] if len(args) > 1 else kwargs["mask"]
    wide = tensor + torch.zeros_like(mask, dtype=tensor.dtype)
    return wide[(*(rows or (...,)), *choice.places)].reshape(-1)


def _is_mask(index: Any) -> bool:
    return isinstance(index, Tensor) and index.dtype == torch.bool
