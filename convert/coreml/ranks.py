"""Graphs within five axes, which is all that Core ML has.

A tensor with more axes is held as another with the same numbers in the same order and fewer axes: merging
axes that lie side by side moves nothing. So a view costs nothing, and every op on such a tensor becomes one
on a view of what is held, in which the axes that the op treats alike are one:

    views             what is held, as it is
    permutation       of the runs of axes that stay together; where these are more than five, run after run
                      changes its place with what lies before it
    elementwise       axes are one that are repeated for the same operands
    along one axis    (what lies before, the axis, what lies behind)

One free size can be told by its place (-1) in a view; where an op needs two, the graph stays as it is, and
Core ML's own refusal tells.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from itertools import groupby
from typing import Any

import torch
from torch import Tensor, fx
from torch.utils._pytree import tree_leaves

from pocketrec.convert.lower.copies import with_own_graph
from pocketrec.convert.rewrite.ops import gap
from pocketrec.errors import ConversionError

MOST_AXES = 5
aten = torch.ops.aten

Size = Any  # an int, or a free size
Shape = tuple[Size, ...]


class _NoView(Exception):
    """A view would need two free sizes, or an op is not known here."""


def within_five_axes(
    program: torch.export.ExportedProgram, example: tuple[Tensor, ...]
) -> torch.export.ExportedProgram:
    """The program without tensors of more than five axes; the same one where it has none or needs them.

    Raises:
        ConversionError: it gives other numbers than `program` on the example; a defect.
    """
    if not any(_rank(node) > MOST_AXES for node in program.graph.nodes if node.op == "call_function"):
        return program
    changed = with_own_graph(program)
    try:
        _Merged(changed.graph_module).rewrite()
    except _NoView:
        return program
    _prove(program, changed, example)
    return changed


def _prove(
    program: torch.export.ExportedProgram,
    changed: torch.export.ExportedProgram,
    example: tuple[Tensor, ...],
) -> None:
    with torch.no_grad():
        pairs = zip(
            *(tree_leaves(each.module(check_guards=False)(*example)) for each in (program, changed)),
            strict=True,
        )
        for expected, given in pairs:
            off = gap(expected, given) if expected.shape == given.shape else math.inf
            if off > 1e-5 * (1 + expected.double().abs().nan_to_num(0, 0, 0).max().item()):
                raise ConversionError(
                    f"merging axes for Core ML is off by {off:.3g}; report it with this module"
                )


def _rank(node: Any) -> int:
    value = node.meta.get("val") if isinstance(node, fx.Node) else None
    return value.ndim if isinstance(value, Tensor) else 0


def _shape(node: Any) -> Shape:
    return tuple(node.meta["val"].shape)


def _is_one(size: Size) -> bool:
    return isinstance(size, int) and size == 1


def _product(sizes: Iterable[Size]) -> int:
    """The number of elements; -1 where a size is free."""
    sizes = list(sizes)
    return math.prod(sizes) if all(isinstance(each, int) for each in sizes) else -1


class _Merged:
    """A graph in which every tensor of more than five axes is held with fewer.

    Attributes:
        held: per node with too many axes one with the same numbers in the same order.
    """

    def __init__(self, module: fx.GraphModule) -> None:
        self._module, self._graph = module, module.graph
        self.held: dict[fx.Node, fx.Node] = {}
        self._node: fx.Node  # the one being replaced

    def rewrite(self) -> None:
        """Replaces every node that gives or takes too many axes; _NoView where one cannot be."""
        for node in list(self._graph.nodes):
            wide = [each for each in node.all_input_nodes if each in self.held]
            if node.op == "call_function" and (wide or _rank(node) > MOST_AXES):
                self._replace(node)
            elif wide or _rank(node) > MOST_AXES:
                raise _NoView  # an input, an output, a constant
        for node in reversed(self.held):
            self._graph.erase_node(node)
        self._module.recompile()

    def _replace(self, node: fx.Node) -> None:
        self._node = node
        with self._graph.inserting_before(node):
            low = self._lowered(node)
            if _rank(node) > MOST_AXES:
                self.held[node] = low
                return
            result = self._view(low, [_product([each]) for each in _shape(node)])
        result.meta = {**node.meta, "val": result.meta["val"]}
        node.replace_all_uses_with(result)
        self.held[node] = result

    def _lowered(self, node: fx.Node) -> fx.Node:
        target: Any = node.target
        if target in _HANDLERS:
            return _HANDLERS[target](self, node)
        if torch.Tag.pointwise in getattr(target, "tags", ()):
            return self._pointwise(node)
        raise _NoView

    def emit(self, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        """A new node in front of the one being replaced."""
        made = self._graph.call_function(target, args, kwargs)
        values = fx.node.map_arg((args, kwargs), lambda each: each.meta["val"])
        tensor = next(each for each in tree_leaves(values) if isinstance(each, Tensor))
        with tensor.fake_mode:  # type: ignore[attr-defined]
            value = target(*values[0], **values[1])
        made.meta = {**self._node.meta, "val": value}
        return made

    def low(self, node: fx.Node) -> fx.Node:
        """What holds the node's numbers: the node itself where it has few axes."""
        return self.held.get(node, node)

    def _view(self, low: fx.Node, sizes: Sequence[int]) -> fx.Node:
        if sizes.count(-1) > 1:
            raise _NoView
        if [_product([each]) for each in _shape(low)] == list(sizes):
            return low
        return self.emit(aten.reshape.default, low, list(sizes))

    def around(self, low: fx.Node, shape: Shape, start: int, end: int) -> fx.Node:
        """A view of (what lies before, the axes from `start` to `end` as one, what lies behind)."""
        parts = (shape[:start], shape[start:end], shape[end:])
        return self._view(low, [_product(each) for each in parts])

    def _pointwise(self, node: fx.Node) -> fx.Node:
        whole = _shape(node)
        operands = [each for each in node.all_input_nodes if _rank(each)]
        shapes = {each: (1,) * (len(whole) - _rank(each)) + _shape(each) for each in operands}
        runs = _runs(
            [tuple(_is_one(shape[axis]) for shape in shapes.values()) for axis in range(len(whole))], whole
        )
        if len(runs) > MOST_AXES:
            lows = {
                each: self._view(self._repeated(self.low(each), shape, whole), [-1])
                for each, shape in shapes.items()
            }
        else:
            lows = {
                each: self._view(self.low(each), [_product(shape[axis] for axis in run) for run in runs])
                for each, shape in shapes.items()
            }
        args, kwargs = fx.node.map_arg((node.args, node.kwargs), lambda each: lows.get(each, each))
        return self.emit(node.target, *args, **kwargs)

    def _repeated(self, low: fx.Node, shape: Shape, whole: Shape) -> fx.Node:
        """The numbers repeated along every axis of size 1 that is larger in `whole`."""
        sizes = list(shape)
        for axis, size in enumerate(whole):
            if _is_one(sizes[axis]) and not _is_one(size):
                if not isinstance(size, int):
                    raise _NoView
                low = self.emit(
                    aten.expand.default, self.around(low, tuple(sizes), axis, axis + 1), [-1, size, -1]
                )
                sizes[axis] = size
        return low

    def expand(self, node: fx.Node) -> fx.Node:
        """An expand."""
        source, whole = _arguments(node)[0], _shape(node)
        shape = (1,) * (len(whole) - _rank(source)) + _shape(source)
        return self._repeated(self.low(source), shape, whole)

    def permute(self, node: fx.Node) -> fx.Node:
        """A permutation, in as few steps as the runs of axes that stay together allow."""
        source, order, *other = _arguments(node)
        shape = _shape(source)
        if other:  # a transposition of two
            one, two = order % len(shape), other[0] % len(shape)
            order = list(range(len(shape)))
            order[one], order[two] = two, one
        wanted = [axis % len(shape) for axis in order if not _is_one(shape[axis % len(shape)])]
        return self._ordered(self.low(source), shape, _together(wanted))

    def _ordered(self, low: fx.Node, shape: Shape, wanted: list[list[int]]) -> fx.Node:
        """The numbers with runs of axes in the order of `wanted`."""
        current = sorted(wanted)
        sizes = [_product(shape[axis] for axis in run) for run in current]
        if len(current) <= MOST_AXES:
            return self.emit(
                aten.permute.default, self._view(low, sizes), [current.index(each) for each in wanted]
            )
        for place, run in enumerate(wanted):
            found = current.index(run)
            if found != place:
                parts = (sizes[:place], sizes[place:found], sizes[found : found + 1], sizes[found + 1 :])
                view = self._view(low, [-1 if -1 in each else math.prod(each) for each in parts])
                low = self.emit(aten.permute.default, view, [0, 2, 1, 3])
                current.insert(place, current.pop(found))
                sizes.insert(place, sizes.pop(found))
        return low

    def reduce(self, node: fx.Node) -> fx.Node:
        """A sum, a mean or an extreme of several axes, run after run of them."""
        source, given, *_ = _arguments(node, [])
        shape, low = list(_shape(source)), self.low(source)
        axes = sorted(each % len(shape) for each in given)
        for run in reversed(_together(axes or list(range(len(shape))))):
            view = self.around(low, tuple(shape), run[0], run[-1] + 1)
            low = self.emit(node.target, view, [1], False, **dict(node.kwargs))
            del shape[run[0] : run[-1] + 1]
        return low

    def along(self, node: fx.Node) -> fx.Node:
        """An op along one axis, which is the second argument."""
        source, axis, *options = _arguments(node, 0)
        axis %= _rank(source)
        view = self.around(self.low(source), _shape(source), axis, axis + 1)
        return self.emit(node.target, view, 1, *options, **dict(node.kwargs))

    def flip(self, node: fx.Node) -> fx.Node:
        """Axes turned about, one after the other."""
        source, axes = _arguments(node)
        low = self.low(source)
        for axis in (each % _rank(source) for each in axes):
            low = self.emit(aten.flip.default, self.around(low, _shape(source), axis, axis + 1), [1])
        return low

    def cat(self, node: fx.Node) -> fx.Node:
        """Tensors joined along one axis."""
        parts, axis = _arguments(node, 0)
        axis %= _rank(node)
        views = [self.around(self.low(each), _shape(each), axis, axis + 1) for each in parts]
        return self.emit(aten.cat.default, views, 1)

    def pad(self, node: fx.Node) -> fx.Node:
        """Axes padded with a number, one after the other."""
        source, widths, *value = _arguments(node)
        if node.target is aten.pad.default and value and value.pop(0) != "constant":
            raise _NoView
        shape, low = list(_shape(source)), self.low(source)
        for place in range(len(widths) // 2):
            before, after = widths[2 * place], widths[2 * place + 1]
            axis = len(shape) - 1 - place
            if before or after:
                view = self.around(low, tuple(shape), axis, axis + 1)
                low = self.emit(aten.constant_pad_nd.default, view, [0, 0, before, after], *value)
                shape[axis] = shape[axis] + before + after
        return low

    def same(self, node: fx.Node) -> fx.Node:
        """The same numbers in the same order."""
        return self.low(_arguments(node)[0])

    def cast(self, node: fx.Node) -> fx.Node:
        """The numbers in another dtype."""
        kwargs = {name: each for name, each in node.kwargs.items() if name != "memory_format"}
        return self.emit(node.target, self.low(_arguments(node)[0]), *node.args[1:], **kwargs)


def _arguments(node: fx.Node, *defaults: Any) -> Any:
    """The arguments by place, the first a tensor or several; `defaults` for what is not given behind it."""
    return (*node.args, *defaults[len(node.args) - 1 :])


def _runs(patterns: Sequence[tuple[bool, ...]], whole: Shape) -> list[list[int]]:
    """Axes side by side that are repeated for the same operands; an axis of size 1 goes with any."""
    runs: list[list[int]] = []
    last: tuple[bool, ...] | None = None
    for axis, pattern in enumerate(patterns):
        if runs and (pattern == last or _is_one(whole[axis])):
            runs[-1].append(axis)
            continue
        if runs and all(_is_one(whole[each]) for each in runs[-1]):
            runs[-1].append(axis)
        else:
            runs.append([axis])
        last = pattern
    return runs


def _together(axes: Sequence[int]) -> list[list[int]]:
    """Runs of axes that follow each other."""
    numbered = groupby(enumerate(axes), key=lambda each: each[1] - each[0])
    return [[axis for _, axis in run] for _, run in numbered]


_HANDLERS: dict[Any, Callable[[_Merged, fx.Node], fx.Node]] = {
    **dict.fromkeys(
        (
            *(aten.reshape.default, aten.view.default, aten._unsafe_view.default, aten.unsqueeze.default),
            *(aten.squeeze.dims, aten.squeeze.dim, aten.squeeze.default, aten.clone.default),
        ),
        _Merged.same,
    ),
    aten.expand.default: _Merged.expand,
    **dict.fromkeys((aten.permute.default, aten.transpose.int), _Merged.permute),
    **dict.fromkeys(
        (aten.sum.dim_IntList, aten.mean.dim, aten.amax.default, aten.amin.default), _Merged.reduce
    ),
    **dict.fromkeys(
        (
            *(aten._softmax.default, aten._log_softmax.default, aten.softmax.int, aten.log_softmax.int),
            *(aten.cumsum.default, aten.slice.Tensor, aten.select.int, aten.index_select.default),
        ),
        _Merged.along,
    ),
    aten.flip.default: _Merged.flip,
    aten.cat.default: _Merged.cat,
    **dict.fromkeys((aten.pad.default, aten.constant_pad_nd.default), _Merged.pad),
    aten._to_copy.default: _Merged.cast,
}
