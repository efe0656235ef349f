"""A TorchScript module, whose inside nothing sees, as a module of plain ATen calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from pocketrec.convert.rewrite import copy_sharing
from pocketrec.convert.watch.patches import quiet_converters
from pocketrec.errors import Refused
from pocketrec.source.saved import as_module


def visible(module: nn.Module, args: tuple[Any, ...], call: Callable[[nn.Module], object]) -> nn.Module:
    """The module; where it is TorchScript, or has parts that are, their graphs as plain calls.

    Args:
        module: what nothing may change.
        args: as the module takes them.
        call: calls a module on the example, to see what its parts are called with.
    """
    return (
        scripted_graph(module, args)
        if isinstance(module, torch.jit.ScriptModule)
        else with_graphs(module, call)
    )


def scripted_graph(module: torch.jit.ScriptModule, args: tuple[Any, ...]) -> nn.Module:
    """A module of plain ATen calls that computes what a TorchScript module does for these arguments.

    What follows the modes of PyTorch, as a survey does, sees nothing inside of TorchScript.

    Raises:
        Refused: TorchScript holds something that has no ATen counterpart.
    """
    from torch._export.converter import TS2EPConverter

    try:
        with quiet_converters():
            converter: Any = TS2EPConverter(module, args)
            return as_module(converter.convert())
    except Exception as error:
        raise Refused(
            op="torch.jit",
            where="",
            reason=f"the TorchScript module has no exported form: {(str(error).splitlines() or [''])[0]}",
            remedy="convert the nn.Module that it was made from",
        ) from error


def with_graphs(module: nn.Module, call: Callable[[nn.Module], object]) -> nn.Module:
    """A copy of `module` whose TorchScript parts are graphs; the module itself where it has none.

    Args:
        module: shares its tensors with the copy.
        call: calls a module on the example, to see what its parts are called with.
    """
    scripts = _outermost_scripts(module)
    if not scripts:
        return module
    result = copy_sharing(module)
    watched = {each: _Watched(each) for each in scripts.values()}
    _put(result, {path: watched[each] for path, each in scripts.items()})
    try:
        with torch.no_grad():
            call(result)
    except Exception:
        return module  # it does not run on its example, which is told elsewhere
    graphs = {each: part.graph() for each, part in watched.items()}
    _put(result, {path: graphs[each] for path, each in scripts.items()})
    return result


class _Watched(nn.Module):
    """A part that remembers what it was called with first."""

    def __init__(self, script: torch.jit.ScriptModule) -> None:
        super().__init__()
        self._script = [script]  # in a list, it is no part of this module
        self._args: tuple[Any, ...] | None = None

    def forward(self, *args: Any) -> Any:
        self._args = args if self._args is None else self._args
        return self._script[0](*args)

    def graph(self) -> nn.Module:
        """The part as a graph; nothing of it where it was never called."""
        return nn.Identity() if self._args is None else scripted_graph(self._script[0], self._args)


def _put(module: nn.Module, parts: Mapping[str, nn.Module]) -> None:
    for path, part in parts.items():
        parent, _, name = path.rpartition(".")
        setattr(module.get_submodule(parent), name, part)


def _outermost_scripts(module: nn.Module) -> dict[str, torch.jit.ScriptModule]:
    found: dict[str, torch.jit.ScriptModule] = {}
    for path, each in module.named_modules(remove_duplicate=False):
        inside = any(path.startswith(f"{outer}.") for outer in found)
        if isinstance(each, torch.jit.ScriptModule) and not inside:
            found[path] = each
    return found
