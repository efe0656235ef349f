"""What is changed in PyTorch, and in the progress bars of others, while one of ours runs.

quiet_converters      logs, warnings, printed graphs and foreign progress bars
plain_attention       the fused attention of eval mode, which has no exported form
fake_listing          how the tensors of torch.export answer `tolist`
uncompiled            the compiler of `flex_attention`, which no mode may watch
quick_decompositions  how the operators are listed that have a decomposition, and how each is overridden
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache, partialmethod
from importlib import import_module
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.nn.attention import flex_attention as flex
from tqdm import tqdm

from pocketrec.foreign import LOCK, Releases, environment, generators_kept, replaced, silent_log

TORCH = Releases(library="torch", first="2.9", below="2.14")
TQDM = Releases(library="tqdm", first="4.0", below="5.0")

_NAMES = (
    None,
    "torch.onnx",
    "torch.export",
    "torch.fx.experimental.symbolic_shapes",
    "onnxscript",
    "onnx_ir",
    "coremltools",
)


@contextmanager
def quiet_converters() -> Iterator[None]:
    """Keeps the converters' own chatter off the terminal: one progress display is enough.

    They draw random numbers for patterns, and set variables of the environment: those are as before
    afterwards. What cannot be silenced in a release that is not known stays heard.
    """
    with LOCK, ExitStack() as stack:
        stack.enter_context(generators_kept())
        stack.enter_context(environment())
        for name in _NAMES:
            stack.enter_context(silent_log(name))
        if TQDM.hold():
            stack.enter_context(replaced(tqdm, {"__init__": _hidden_bar()}, releases=TQDM))
        if TORCH.hold():  # it prints the graph that it has, before it raises
            exporter: Any = import_module("torch.export._trace")
            stack.enter_context(replaced(exporter, {"print": _silent}, releases=TORCH))
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        yield


def _hidden_bar() -> Any:
    return partialmethod(tqdm.__init__, disable=True)


def _silent(*_: Any, **__: Any) -> None:
    pass


@contextmanager
def plain_attention() -> Iterator[None]:
    """Keeps attention in eval mode from its fused path, which exporters cannot follow."""
    with LOCK:
        before = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            yield
        finally:
            torch.backends.mha.set_fastpath_enabled(before)


_listing = FakeTensor.tolist


def list_fake(tensor: FakeTensor) -> Any:
    """What `tolist` of a tensor of torch.export gives by itself."""
    return _listing(tensor)


@contextmanager
def fake_listing(tolist: Callable[[FakeTensor], Any]) -> Iterator[None]:
    """Lets the tensors of torch.export answer `tolist` by another function."""
    with replaced(FakeTensor, {"tolist": tolist}, releases=TORCH):
        yield


@contextmanager
def uncompiled() -> Iterator[None]:
    """Makes `flex_attention` call its operator itself while it lasts, where a rule can see it."""
    if not TORCH.hold():
        yield
        return
    with replaced(flex, {"_FLEX_ATTENTION_DISABLE_COMPILE_DEBUG": True}, releases=TORCH):
        yield


class _Unwritten(type):
    """Stands in for `collections.abc.Callable` in annotations, of which it makes no types."""

    def __getitem__(cls, _: object) -> _Unwritten:
        return cls

    def __instancecheck__(cls, instance: object) -> bool:
        return callable(instance)


class _AnyCallable(metaclass=_Unwritten):
    pass


@contextmanager
def quick_decompositions() -> Iterator[None]:
    """Lets a program be decomposed without what takes most of the time of a small one, and changes none.

    All operators are asked of the dispatcher for each of thirty namespaces, twice; here once while it lasts.
    Each of 500 overrides of each of them evaluates annotations, which makes types that nobody reads.
    """
    if not TORCH.hold():
        yield
        return
    operators: Any = import_module("torch._export.utils")
    listed = {"_materialize_cpp_cia_ops": cache(operators._materialize_cpp_cia_ops)}
    with (
        replaced(operators, listed, releases=TORCH),
        replaced(import_module("torch._ops"), {"Callable": _AnyCallable}, releases=TORCH),
    ):
        yield
