"""The ONNX exporter's rewriter held to equal numbers, and kept from weights that are stored as codes.

It matches constants within 1e-8: `x / (count + 1e-9)` loses its addition of "zero", and an empty
history then divides by zero. And it multiplies batch normalization into the weights before it, which
are then no longer those that were compressed. Its optimizer computes what small constants come to, and a
stub's one number is not its table's.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib import import_module
from types import SimpleNamespace
from typing import Any

from torch import fx

from pocketrec.convert.onnx.ready import ready
from pocketrec.convert.watch.patches import TORCH
from pocketrec.foreign import Releases, replaced
from pocketrec.source.stubs import number_of

ONNXSCRIPT = Releases(library="onnxscript", first="0.5", below="0.8")
_FLOAT32 = 2.0**-23  # the same number, rounded to float32


@contextmanager
def exact_constants() -> Iterator[None]:
    """Lets a pattern's constant match only the same number."""
    matcher: Any = import_module("onnxscript.rewriter._matcher")
    with replaced(matcher, {"math": SimpleNamespace(isclose=same_number)}, releases=ONNXSCRIPT):
        yield


@contextmanager
def weights_kept(is_kept: Callable[[object], bool]) -> Iterator[None]:
    """Keeps constants for whose values `is_kept` is true from being multiplied by others."""
    rules: list[Any] = list(import_module("onnxscript.rewriter.rules.common._fuse_batchnorm").rules)
    with ExitStack() as stack:
        for each in rules:
            guarded = {"_condition_function": _unless_kept(each._condition_function, is_kept)}
            stack.enter_context(replaced(each, guarded, releases=ONNXSCRIPT))
        yield


@contextmanager
def stubs_kept() -> Iterator[None]:
    """Keeps the optimizer from computing with stubs, which are small where their tables are."""
    kind: Any = import_module("onnxscript.optimizer._constant_folding").FoldConstantsPass
    make = kind.__init__

    def guarded(self: Any, *args: Any, **kwargs: Any) -> None:
        make(self, *args, **kwargs)
        asked = self.should_fold
        self.should_fold = lambda node: False if any(map(_is_stub, node.inputs)) else asked(node)

    with replaced(kind, {"__init__": guarded}, releases=ONNXSCRIPT):
        yield


def _is_stub(value: Any) -> bool:
    held = getattr(getattr(value, "const_value", None), "raw", None)
    return number_of(held) is not None


_MADE: dict[Any, Any] = {}  # by the opset that was asked for


@contextmanager
def registry_kept() -> Iterator[None]:
    """Lets the exporter start from a copy of its table of lowerings, whose sources take long to parse."""
    kind: Any = import_module("torch.onnx._internal.exporter._registration").ONNXRegistry
    make = vars(kind)["from_torchlib"].__func__

    def kept(cls: Any, *args: Any, **kwargs: Any) -> Any:
        key = (args, tuple(sorted(kwargs.items())))
        if key not in _MADE:
            _MADE[key] = make(cls, *args, **kwargs)
        return _copy(_MADE[key])

    with replaced(kind, {"from_torchlib": classmethod(kept)}, releases=TORCH):
        yield


@contextmanager
def traced_once() -> Iterator[None]:
    """Lets the exporter take a program as it is where nothing in it must be decomposed."""
    passes: Any = import_module("torch.onnx._internal.exporter._fx_passes")
    tables: Any = import_module("torch.onnx._internal.exporter._decomp")
    decompose = passes.decompose_with_registry

    def where_needed(program: Any, registry: Any) -> Any:
        lowered = set(tables.get_onnx_implemented_overloads(registry))
        taken = ready(program, tables.create_onnx_friendly_decomposition_table(lowered).keys())
        return decompose(program, registry) if taken is None else taken

    with replaced(passes, {"decompose_with_registry": where_needed}, releases=TORCH):
        yield


@contextmanager
def promoted_once() -> Iterator[None]:
    """Lets the exporter's promotion of dtypes take what a node gives from the node, where it is noted.

    It computes every node once more, symbolic sizes and unrolled recurrent layers included, to know
    dtypes that a capture has noted.
    """
    promotion: Any = import_module("torch.onnx._internal.fx.passes.type_promotion")
    kind = promotion._TypePromotionInterpreter
    compute = kind.run_node

    def noted(self: Any, node: fx.Node) -> Any:
        if node.op != "call_function" or "val" not in node.meta:
            return compute(self, node)
        with self._set_current_node(node):
            rule = promotion.get_type_promotion_rule(node, self.type_promotion_table)
            if rule:
                self._maybe_promote_node(node, rule)
        return node.meta["val"]

    with replaced(kind, {"run_node": noted}, releases=TORCH):
        yield


def _copy(table: Any) -> Any:
    """A table of its own, to which an export may add lowerings."""
    copied = copy.copy(table)
    copied.functions = {op: list(lowerings) for op, lowerings in table.functions.items()}
    return copied


def _unless_kept(check: Callable[..., Any], is_kept: Callable[[object], bool]) -> Callable[..., Any]:
    def guarded(context: Any, **values: Any) -> Any:
        found = check(context, **values)
        if found and any(is_kept(each) for value in values.values() for each in _constants(value)):
            found.fail("its weights are stored as codes")
        return found

    return guarded


def _constants(value: Any) -> Iterator[object]:
    """The numbers of a matched value, and of what its op reads."""
    made_of = () if value.producer() is None else value.producer().inputs
    for each in (value, *made_of):
        if each is not None and each.const_value is not None:
            yield each.const_value.numpy()


def same_number(one: float, two: float, **_: float) -> bool:
    """True where both round to about the same float32; only zero equals zero."""
    return math.isclose(one, two, rel_tol=_FLOAT32, abs_tol=0.0)
